package fake

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sts follows docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html. The role is ci of the account 123456789012, for up to an hour.
func (a *AWS) sts(r *http.Request) Answer {
	if name := a.signature(r, "sts"); name != "" {
		return a.stsError(name)
	}
	seconds, err := strconv.Atoi(r.PostFormValue("DurationSeconds"))
	policy := r.PostFormValue("Policy")
	switch {
	case r.PostFormValue("Action") != "AssumeRole" || r.PostFormValue("Version") != "2011-06-15" || r.PostFormValue("RoleSessionName") == "":
		return a.stsError("InvalidAction")
	case r.PostFormValue("RoleArn") != "arn:aws:iam::123456789012:role/ci":
		return a.stsError("AccessDenied")
	case err != nil || seconds < 900 || seconds > 3600:
		return a.stsError("ValidationError")
	case policy != "" && !json.Valid([]byte(policy)):
		return a.stsError("MalformedPolicyDocument")
	}
	t := a.Issue("IQoJ", time.Duration(seconds)*time.Second, Token{Name: r.PostFormValue("RoleSessionName"), About: map[string]string{"policy": policy}})
	body := fmt.Sprintf(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/ci/%s</Arn>`+
		`</AssumedRoleUser><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>`+
		`</Credentials></AssumeRoleResult><ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata></AssumeRoleResponse>`,
		t.Name, accessKeyID(t), t.ID, t.Value, t.Expires.UTC().Format(time.RFC3339))
	return Answer{Header: map[string]string{"Content-Type": "text/xml"}, Body: []byte(body)}
}

// accessKeyID is the public part of a session's keys.
func accessKeyID(t Token) string { return "AS" + strings.ToUpper(t.ID[:18]) }

func (a *AWS) stsError(code string) Answer {
	status := http.StatusBadRequest
	if code == "AccessDenied" || strings.Contains(code, "Signature") || code == "UnrecognizedClientException" {
		status = http.StatusForbidden
	}
	var message strings.Builder
	_ = xml.EscapeText(&message, []byte(a.Bait)) // a strings.Builder takes everything
	body := fmt.Sprintf(`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, message.String())
	return Answer{Status: status, Header: map[string]string{"Content-Type": "text/xml"}, Body: []byte(body)}
}

// codeArtifact follows docs.aws.amazon.com/codeartifact/latest/APIReference/API_GetAuthorizationToken.html. The domain is acme.
func (a *AWS) codeArtifact(r *http.Request) Answer {
	if name := a.signature(r, "codeartifact"); name != "" {
		return a.Refuse(http.StatusForbidden, name)
	}
	query := r.URL.Query()
	seconds, err := strconv.Atoi(query.Get("duration"))
	switch {
	case query.Get("domain") != "acme" || query.Get("domain-owner") != "123456789012":
		return a.Refuse(http.StatusNotFound, "Domain not found.")
	case err != nil || seconds < 900 || seconds > 43200:
		return Answer{Status: http.StatusBadRequest, Body: map[string]string{"__type": "ValidationException", "message": a.Bait}}
	}
	t := a.Issue("eyJ2ZXIi", time.Duration(seconds)*time.Second, Token{})
	return OK(map[string]any{"authorizationToken": t.Value, "expiration": float64(t.Expires.Unix())})
}

// ecr follows docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html.
func (a *AWS) ecr(body map[string]any) Answer {
	account := "123456789012"
	if ids, ok := body["registryIds"].([]any); ok && len(ids) == 1 && ids[0] != account {
		return a.Refuse(http.StatusForbidden, "not authorized to perform: ecr:GetAuthorizationToken")
	}
	t := a.Issue("eyJwYXlsb2Fk", 12*time.Hour, Token{})
	return OK(map[string]any{"authorizationData": []any{map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + t.Value)), "expiresAt": float64(t.Expires.Unix()),
		"proxyEndpoint": "https://" + account + ".dkr.ecr.eu-west-1.amazonaws.com",
	}}})
}
