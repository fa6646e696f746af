package shim

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// NewTicket makes up a ticket of 130 random bits, in letters and digits.
func NewTicket() string { return TicketMark() + strings.ToLower(rand.Text()) }

// TicketMark begins all tickets that are made up, those of other builds, too: by it they are found in images. It is in no program.
func TicketMark() string {
	sum := sha256.Sum256([]byte("tightlip ticket"))
	return hex.EncodeToString(sum[:8])
}
