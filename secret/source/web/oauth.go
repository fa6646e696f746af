package web

import (
	"encoding/json"
	"net/http"
)

// oauthErrors are those of RFC 6749, section 5.2, RFC 8693, section 2.2.2, and RFC 7009, section 2.2.1, all of which come with 400 or 401,
// and what the status should be.
var oauthErrors = map[string]int{
	"invalid_client":         http.StatusUnauthorized,
	"invalid_grant":          http.StatusUnauthorized,
	"unauthorized_client":    http.StatusForbidden,
	"invalid_request":        http.StatusBadRequest,
	"invalid_scope":          http.StatusBadRequest,
	"invalid_target":         http.StatusBadRequest,
	"unsupported_grant_type": http.StatusBadRequest,
	"unsupported_token_type": http.StatusBadRequest,
}

// OAuth reads the refusals of an OAuth server, for Client.Means.
func OAuth(_ int, body []byte) (meant int, name string) {
	var refusal struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &refusal) != nil || oauthErrors[refusal.Error] == 0 {
		return 0, ""
	}
	return oauthErrors[refusal.Error], refusal.Error
}
