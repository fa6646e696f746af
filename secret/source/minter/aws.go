package minter

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
	"github.com/tightlip/tightlip/secret/source/web"
)

// awsSTS assumes a role: docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html. Nothing ends what it makes but time.
var awsSTS = &kind{
	scheme:  "aws-sts",
	form:    "aws-sts:ROLE_ARN#FORMAT",
	what:    "credentials of a role of AWS",
	example: "aws-sts:arn:aws:iam::123456789012:role/ci?duration=15m&policy=file:policy.json",
	about: secret.MintAbout{
		Grade: secret.GradeA, Least: 15 * time.Minute, Default: 15 * time.Minute,
		Narrow: "the role; policy= to a part of what it may do",
	},
	variables: cloud.AWSVariables(),
	path:      "the ARN of a role",
	keys:      []string{"policy", "external-id", "region"},
	parents:   []string{"policy"},
	public:    []string{"policy"},
	life:      "duration",
	longest:   12 * time.Hour,
	fields:    []string{"credentials", "env", "json"},
	check: func(o *order) error {
		if !isRole(o.Path) {
			return o.wrong("what follows aws-sts: is not the ARN of a role", "")
		}
		return nil
	},
	mint: mintSTS,
}

// awsCodeArtifact gets a token for package repositories: docs.aws.amazon.com/codeartifact/latest/APIReference/API_GetAuthorizationToken.html.
// Asked for no duration, a token would live as long as the session of who asks, or for hours after it.
var awsCodeArtifact = &kind{
	scheme:  "codeartifact",
	form:    "codeartifact:DOMAIN/OWNER_ACCOUNT",
	what:    "a token for the package repositories of AWS CodeArtifact",
	example: "codeartifact:acme/123456789012?duration=15m&role=arn:aws:iam::123456789012:role/ci",
	about: secret.MintAbout{
		Grade: secret.GradeB, Least: 15 * time.Minute, Default: 15 * time.Minute,
		Narrow: "role= to what a role may do that is assumed for it",
	},
	variables: cloud.AWSVariables(),
	path:      "a domain and the account that owns it, as DOMAIN/OWNER",
	keys:      []string{"region", "role"},
	life:      "duration",
	longest:   12 * time.Hour,
	check: func(o *order) error {
		if domain, owner, ok := strings.Cut(o.Path, "/"); !ok || domain == "" || len(owner) != 12 || strings.Trim(owner, "0123456789") != "" {
			return o.wrong("what follows codeartifact: is not DOMAIN/OWNER_ACCOUNT", "")
		}
		return o.checkRole()
	},
	mint: mintCodeArtifact,
}

// awsECR gets the password for a registry of images: docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html.
var awsECR = &kind{
	scheme:  "ecr",
	form:    "ecr:ACCOUNT#FORMAT",
	what:    "a password for the registry of images of an account of AWS",
	example: "ecr:123456789012?region=eu-west-1",
	about: secret.MintAbout{
		Grade: secret.GradeC, Default: 12 * time.Hour,
		Narrow: "role= to what a role may do that is assumed for it",
	},
	variables: cloud.AWSVariables(),
	path:      "the account whose registry it is",
	keys:      []string{"region", "role"},
	fields:    []string{"password", "docker"},
	check: func(o *order) error {
		if len(o.Path) != 12 || strings.Trim(o.Path, "0123456789") != "" {
			return o.wrong("what follows ecr: is not the number of an account", "")
		}
		return o.checkRole()
	},
	mint: mintECR,
}

// aws is a client with the credentials that are found, or those of the role that they assume.
func (o *order) aws(ctx context.Context, service cloud.AWS) (*web.Client, error) {
	role := o.Get("role")
	if role == "" {
		return service.Client(ctx, o.cloud(), o.Get("region"), nil)
	}
	// A role that is assumed by a role gives an hour at most.
	answer, err := o.assume(ctx, role, max(awsSTS.about.Least, min(o.life, time.Hour)))
	if err != nil {
		return nil, err
	}
	c := answer.Credentials
	return service.Client(ctx, o.cloud(), o.Get("region"), &cloud.Keys{ID: c.AccessKeyID, Secret: c.SecretAccessKey.Value, Token: c.SessionToken.Value})
}

// checkRole looks at role=, which kinds that need no role may have.
func (o *order) checkRole() error {
	if role := o.Get("role"); role != "" && !isRole(role) {
		return o.wrong("role= of "+o.kind.scheme+": is not the ARN of a role", "role=arn:aws:iam::ACCOUNT:role/NAME")
	}
	return nil
}

func isRole(arn string) bool {
	return strings.HasPrefix(arn, "arn:") && strings.Contains(arn, ":role/")
}

// stsAnswer is what of an AssumeRoleResponse matters.
type stsAnswer struct {
	Credentials struct {
		AccessKeyID     string    `xml:"AccessKeyId"`
		SecretAccessKey web.Text  `xml:"SecretAccessKey"`
		SessionToken    web.Text  `xml:"SessionToken"`
		Expiration      time.Time `xml:"Expiration"`
	} `xml:"AssumeRoleResult>Credentials"`
}

func mintSTS(ctx context.Context, o *order) (*credential, error) {
	answer, err := o.assume(ctx, o.Path, o.life)
	if err != nil {
		return nil, err
	}
	return &credential{value: answer.format(o.Field), expires: answer.Credentials.Expiration}, nil
}

// assume makes a session of a role.
func (o *order) assume(ctx context.Context, role string, life time.Duration) (*stsAnswer, error) {
	client, err := cloud.AWS{Who: "AWS STS", Name: "sts", Variable: "STS"}.Client(ctx, o.cloud(), o.Get("region"), nil)
	if err != nil {
		return nil, err
	}
	form := url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {o.name},
		"DurationSeconds": {strconv.Itoa(int(life.Seconds()))},
	}
	if o.Get("policy") != "" {
		form.Set("Policy", text(o.values["policy"]))
	}
	if id := o.Get("external-id"); id != "" {
		form.Set("ExternalId", id)
	}
	var body []byte
	if err := client.Do(ctx, web.Call{Method: http.MethodPost, Path: "/", Form: form, Into: &body, Once: true, Needs: "sts:AssumeRole on " + role}); err != nil {
		return nil, err
	}
	defer clear(body)
	var answer stsAnswer
	if xml.Unmarshal(body, &answer) != nil || answer.Credentials.SecretAccessKey.Len() == 0 { // its error quotes what it could not read
		return nil, web.ErrMalformed
	}
	return &answer, nil
}

// format is the file that programs find: ~/.aws/credentials, variables, or what a credential_process prints.
func (a stsAnswer) format(name string) secret.Value {
	c := a.Credentials
	key, token := c.SecretAccessKey.Open(), c.SessionToken.Open()
	switch name {
	case "env":
		return secret.NewValue(fmt.Appendf(nil, "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_SESSION_TOKEN=%s\n", c.AccessKeyID, key, token))
	case "json":
		text, _ := json.Marshal(map[string]any{ // strings and a number always marshal
			"Version": 1, "AccessKeyId": c.AccessKeyID, "SecretAccessKey": string(key), "SessionToken": string(token),
			"Expiration": c.Expiration.UTC().Format(time.RFC3339),
		})
		return secret.NewValue(text)
	}
	return secret.NewValue(fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n", c.AccessKeyID, key, token))
}

func mintCodeArtifact(ctx context.Context, o *order) (*credential, error) {
	client, err := o.aws(ctx, cloud.AWS{Who: "AWS CodeArtifact", Name: "codeartifact", Variable: "CODEARTIFACT"})
	if err != nil {
		return nil, err
	}
	domain, owner, _ := strings.Cut(o.Path, "/")
	query := url.Values{"domain": {domain}, "domain-owner": {owner}, "duration": {strconv.Itoa(int(o.life.Seconds()))}}
	var made struct {
		Token      web.Text `json:"authorizationToken"`
		Expiration float64  `json:"expiration"`
	}
	err = client.Do(ctx, web.Call{
		Method: http.MethodPost, Path: "/v1/authorization-token?" + query.Encode(), Into: &made, Once: true,
		Needs: "codeartifact:GetAuthorizationToken on the domain " + domain + ", and sts:GetServiceBearerToken",
	})
	if err != nil {
		return nil, err
	}
	return &credential{value: made.Token.Value, expires: epoch(made.Expiration)}, nil
}

func mintECR(ctx context.Context, o *order) (*credential, error) {
	client, err := o.aws(ctx, cloud.AWS{Who: "Amazon ECR", Name: "ecr", Host: "api.ecr", Variable: "ECR"})
	if err != nil {
		return nil, err
	}
	var made struct {
		Data []struct {
			Token     web.Base64 `json:"authorizationToken"`
			ExpiresAt float64    `json:"expiresAt"`
			Endpoint  string     `json:"proxyEndpoint"`
		} `json:"authorizationData"`
	}
	err = client.Do(ctx, web.Call{
		Method: http.MethodPost, Path: "/", JSON: map[string]any{"registryIds": []string{o.Path}}, Into: &made, Once: true, Needs: "ecr:GetAuthorizationToken",
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"}},
	})
	if err == nil && len(made.Data) == 0 {
		err = web.ErrMalformed
	}
	if err != nil {
		return nil, err
	}
	data := made.Data[0]
	_, password, _ := bytes.Cut(data.Token.Open(), []byte(":"))
	c := &credential{value: secret.NewValue(password), expires: epoch(data.ExpiresAt)}
	if o.Field == "docker" {
		c.value = dockerConfig(strings.TrimPrefix(data.Endpoint, "https://"), "AWS", c.value)
	}
	return c, nil
}

// dockerConfig is a config.json of Docker for one registry.
func dockerConfig(host, user string, password secret.Value) secret.Value {
	auth := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%s", user, password.Open()))
	text, _ := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}}) // strings always marshal
	return secret.NewValue(text)
}

// epoch is a time as AWS writes it in JSON.
func epoch(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
