package minter

import (
	"errors"
	"net/http"
	"slices"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// accepted reads what became of a call with a credential that may be dead: 401 is a refusal of the credential. Other refusals of living
// ones are in but.
func accepted(err error, but ...int) (bool, error) {
	switch status := web.StatusOf(err); {
	case err == nil || slices.Contains(but, status):
		return true, nil
	case status == http.StatusUnauthorized:
		return false, nil
	}
	return false, err
}

// gone reads what became of a revocation by who made the credential: what is not there any more is dead.
func gone(err error) error {
	if errors.Is(err, secret.ErrNotFound) {
		return nil
	}
	return err
}
