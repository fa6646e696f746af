package sshagent

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// The messages of the agent protocol (draft-ietf-sshm-ssh-agent) that steps may send, and their answers.
const (
	msgFailure          = 5
	msgSuccess          = 6
	msgList             = 11
	msgListed           = 12
	msgSign             = 13
	msgSigned           = 14
	msgExtension        = 27
	msgExtensionFailure = 28
)

// maxRequest bounds, in bytes, what a client may ask at once. It is the bound of OpenSSH's agent.
const maxRequest = 256 << 10

var errTooLarge = errors.New("the request to the SSH agent is empty or too large")

// connection is one client of an agent. It lists keys and signs, as far as the policy lets it, and does nothing else.
type connection struct {
	id     string
	agent  agent.ExtendedAgent
	policy *Policy // nil: everything is signed
	audit  func(Event)
	bound  *binding // nil: the client did not say which server this is for
	closed error    // why nothing is signed any more
}

// serve answers requests until the client is gone.
func (c *connection) serve(client io.ReadWriter) error {
	for {
		request, err := readMessage(client)
		if err != nil {
			return err
		}
		answer := c.answer(request)
		if _, err := client.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...)); err != nil {
			return err
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n == 0 || n > maxRequest {
		return nil, errTooLarge
	}
	message := make([]byte, n)
	_, err := io.ReadFull(r, message)
	return message, err
}

// answer is that to one request, which has at least one byte.
func (c *connection) answer(request []byte) []byte {
	switch kind, rest := request[0], request[1:]; kind {
	case msgList:
		return c.list(rest)
	case msgSign:
		return c.sign(rest)
	case msgExtension:
		return c.extension(rest)
	}
	c.report(Event{Request: Change}, errReadOnly)
	return []byte{msgFailure}
}

// report makes an event of a decision.
func (c *connection) report(e Event, err error) {
	if c.audit == nil {
		return
	}
	e.Time, e.Agent, e.Granted = time.Now(), c.id, err == nil
	if err != nil {
		e.Reason = err.Error()
	}
	c.audit(e)
}

// list is empty once it is known that the connection is not for a server of the policy: such a server is not told who the user is.
func (c *connection) list(rest []byte) []byte {
	if len(rest) > 0 {
		return []byte{msgFailure}
	}
	var keys []*agent.Key
	if c.closed == nil {
		var err error
		if keys, err = c.agent.List(); err != nil {
			return []byte{msgFailure}
		}
	}
	var body []byte
	count := uint32(0)
	for _, k := range keys {
		if !c.shows(k) {
			continue
		}
		count++
		body = append(body, ssh.Marshal(struct {
			Blob    []byte
			Comment string
		}{k.Blob, k.Comment})...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{msgListed}, count), body...)
}

// shows leaves out what the policy does not name, and what it cannot read.
func (c *connection) shows(k *agent.Key) bool {
	if c.policy == nil {
		return true
	}
	key, err := ssh.ParsePublicKey(k.Blob)
	return err == nil && c.policy.shows(key)
}

func (c *connection) sign(rest []byte) []byte {
	var m struct {
		Key   []byte
		Data  []byte
		Flags uint32
	}
	e := Event{Request: Sign}
	if ssh.Unmarshal(rest, &m) != nil {
		c.report(e, errMalformed)
		return []byte{msgFailure}
	}
	flags := agent.SignatureFlags(m.Flags)
	if c.policy != nil {
		if err := c.permit(&e, m.Key, m.Data, flags); err != nil {
			c.report(e, err)
			return []byte{msgFailure}
		}
	}
	signature, err := c.agent.SignWithFlags(&agent.Key{Blob: m.Key}, m.Data, flags)
	if err != nil {
		c.report(e, errAgent)
		return []byte{msgFailure}
	}
	c.report(e, nil)
	return append([]byte{msgSigned}, ssh.Marshal(struct{ Signature []byte }{ssh.Marshal(signature)})...)
}

// permit decides on data to be signed, and completes the event with what it finds.
func (c *connection) permit(e *Event, blob, data []byte, flags agent.SignatureFlags) error {
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return errMalformed
	}
	e.Key = fingerprint(key)
	l, err := parseLogin(data)
	if err != nil {
		return err
	}
	e.User = shown(l.user)
	switch {
	case c.closed != nil:
		return c.closed
	case c.bound == nil:
		return errUnbound
	}
	e.Host, e.HostKey = c.bound.name(), fingerprint(c.bound.hostKey)
	if !c.policy.shows(key) {
		return errHidden
	}
	return c.bound.permit(l, key, flags)
}

func (c *connection) extension(rest []byte) []byte {
	var m struct {
		Type     string
		Contents []byte `ssh:"rest"`
	}
	switch {
	case ssh.Unmarshal(rest, &m) != nil:
		c.report(Event{Request: Extension}, errMalformed)
		return []byte{msgFailure}
	case c.policy == nil || m.Type != extensionBind:
		c.report(Event{Request: Extension}, errExtension)
		return []byte{msgFailure}
	}
	e := Event{Request: Bind}
	err := c.bind(&e, m.Contents)
	c.report(e, err)
	if err != nil {
		return []byte{msgExtensionFailure}
	}
	// An agent of OpenSSH that holds keys for certain servers only wants to know, too. Others do not understand it.
	_, _ = c.agent.Extension(extensionBind, m.Contents)
	return []byte{msgSuccess}
}

// bind connects what follows to a server, once. After a refusal nothing is signed any more: an agent that is forwarded to a server
// would be bound once more, to where that server goes on to.
func (c *connection) bind(e *Event, contents []byte) error {
	if c.bound != nil {
		return errBound
	}
	m, err := parseBind(contents)
	if err == nil {
		var b *binding
		b, err = c.policy.bind(m)
		e.Host, e.HostKey = b.name(), fingerprint(m.hostKey)
		if err == nil && c.closed == nil {
			c.bound = b
			return nil
		}
	}
	if c.closed == nil {
		c.closed = err
	}
	return c.closed
}
