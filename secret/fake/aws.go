package fake

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// AWS follows docs.aws.amazon.com: secretsmanager/latest/apireference (GetSecretValue and CommonErrors), systems-manager/latest/APIReference
// (GetParameter) and IAM/latest/UserGuide/reference_sigv.html. Errors have the status 400 and their name in __type.
type AWS struct {
	*Fake
	AccessKey, SecretKey string

	values map[string]map[string][]byte // by service and name; versions by stage
}

// NewAWS has a user.
func NewAWS(t testing.TB) *AWS {
	a := &AWS{Fake: New(), AccessKey: "AK" + rand.Text()[:18], SecretKey: rand.Text(), values: map[string]map[string][]byte{}}
	a.Serve(t, API{
		Calls: map[string]func(*http.Request) Answer{"POST /{$}": a.call, "POST /v1/authorization-token": a.codeArtifact},
		Error: func(status int, message string) Answer {
			name := map[int]string{
				401: "UnrecognizedClientException", 403: "AccessDeniedException", 404: "ResourceNotFoundException", 429: "ThrottlingException",
			}[status]
			if name == "" {
				return Answer{Status: status, Body: map[string]string{"__type": "InternalServiceError", "message": message}}
			}
			return Answer{Status: http.StatusBadRequest, Body: map[string]string{"__type": name, "message": message}}
		},
	})
	return a
}

// Put stores what a service has: "secretsmanager" at a stage such as AWSCURRENT, or "ssm" at "".
func (a *AWS) Put(service, name, stage string, value []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := service + " " + name
	if a.values[key] == nil {
		a.values[key] = map[string][]byte{}
	}
	a.values[key][stage] = value
}

func (a *AWS) value(service, name, stage string) ([]byte, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	value, ok := a.values[service+" "+name][stage]
	return value, ok
}

func (a *AWS) call(r *http.Request) Answer {
	service, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if service == "" {
		return a.sts(r)
	}
	service = map[string]string{"secretsmanager": "secretsmanager", "AmazonSSM": "ssm", "AmazonEC2ContainerRegistry_V20150921": "ecr"}[service]
	if name := a.signature(r, service); name != "" {
		return Answer{Status: http.StatusBadRequest, Body: map[string]string{"__type": name, "message": a.Bait}}
	}
	switch body := Body[map[string]any](r); service + "." + action {
	case "secretsmanager.GetSecretValue":
		return a.getSecretValue(body)
	case "ssm.GetParameter":
		return a.getParameter(body)
	case "ecr.GetAuthorizationToken":
		return a.ecr(body)
	}
	return Answer{Status: http.StatusBadRequest, Body: map[string]string{"__type": "com.amazon.coral.service#UnknownOperationException"}}
}

func (a *AWS) getSecretValue(body map[string]any) Answer {
	name, _ := body["SecretId"].(string)
	stage, _ := body["VersionStage"].(string)
	if stage == "" {
		stage = "AWSCURRENT"
	}
	value, ok := a.value("secretsmanager", name, stage)
	if !ok {
		return a.Refuse(http.StatusNotFound, "Secrets Manager can't find the specified secret.")
	}
	answer := map[string]any{
		"ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:" + name + "-a1b2c3", "CreatedDate": 1.523477145713e9, "Name": name,
		"VersionId": "EXAMPLE1-90ab-cdef-fedc-ba987SECRET1", "VersionStages": []string{stage},
	}
	if !utf8.Valid(value) {
		answer["SecretBinary"] = value
	} else {
		answer["SecretString"] = string(value)
	}
	return OK(answer)
}

func (a *AWS) getParameter(body map[string]any) Answer {
	name, _ := body["Name"].(string)
	value, ok := a.value("ssm", name, "")
	if !ok {
		return Answer{Status: http.StatusBadRequest, Body: map[string]string{"__type": "ParameterNotFound", "message": a.Bait}}
	}
	text := string(value)
	if body["WithDecryption"] != true {
		text = "AQICAHh" // ciphertext
	}
	return OK(map[string]any{"Parameter": map[string]any{
		"ARN": "arn:aws:ssm:eu-west-1:123456789012:parameter" + name, "DataType": "text", "LastModifiedDate": 1.530018761888e9, "Name": name,
		"Type": "SecureString", "Value": text, "Version": 1,
	}})
}

// keys are those of the user, or of a session that lives.
func (a *AWS) keys(id, session string) (aws.Credentials, bool) {
	if id == a.AccessKey {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: a.SecretKey}, true
	}
	t, ok := a.Token(session)
	return aws.Credentials{AccessKeyID: id, SecretAccessKey: t.ID, SessionToken: session}, ok && id == accessKeyID(t)
}

// signature signs the request once more, with what it claims to be signed by, and returns the name of the error if that differs.
func (a *AWS) signature(r *http.Request, service string) string {
	given := r.Header.Get("Authorization")
	_, rest, _ := strings.Cut(given, "Credential=")
	scope, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(scope, "/")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	keys, ok := a.keys(parts[0], r.Header.Get("X-Amz-Security-Token"))
	switch {
	case err != nil || len(parts) != 5:
		return "IncompleteSignature"
	case !ok:
		return "UnrecognizedClientException"
	case parts[3] != service || a.Now().Sub(at).Abs() > 5*time.Minute:
		return "InvalidSignatureException"
	}
	body, _ := io.ReadAll(r.Body) // a body that broke off has another hash
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	again, _ := http.NewRequestWithContext(r.Context(), r.Method, "https://"+r.Host+r.URL.RequestURI(), strings.NewReader(string(body))) // was a request
	_, rest, _ = strings.Cut(given, "SignedHeaders=")
	signed, _, _ := strings.Cut(rest, ",")
	for name := range strings.SplitSeq(signed, ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(r.Context(), keys, again, hex.EncodeToString(sum[:]), service, parts[2], at)
	if err != nil || again.Header.Get("Authorization") != given {
		return "InvalidSignatureException"
	}
	return ""
}
