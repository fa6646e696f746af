package cloud

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// AWS is a service of Amazon's.
type AWS struct {
	Who      string // for people
	Name     string // in host names and signatures: "secretsmanager"
	Host     string // in host names, if that is another name
	Variable string // what follows AWS_ENDPOINT_URL_: "SECRETS_MANAGER"
}

// AWSVariables are those in which the SDK finds credentials.
func AWSVariables() []string {
	return []string{
		"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	}
}

// Keys are credentials of AWS, such as those of a role that was assumed.
type Keys struct {
	ID            string
	Secret, Token secret.Value
}

// Client returns a client that signs its calls, for a region; empty: the configured one. Credentials are found as all of Amazon's tools do,
// unless there are keys.
func (a AWS) Client(ctx context.Context, o Options, region string, with *Keys) (*web.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return nil, awsSetup(ctx, "the configuration of AWS cannot be read", "aws configure list")
	}
	if !isName(cfg.Region) {
		return nil, &secret.ResolveError{Problem: "no region of AWS is set, or it is none", Try: "add ?region=NAME or export AWS_REGION=NAME"}
	}
	if with != nil {
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: with.ID, SecretAccessKey: string(with.Secret.Open()), SessionToken: string(with.Token.Open())}, nil
		})
	}
	keys, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, awsSetup(ctx, "there are no credentials for AWS", "aws sts get-caller-identity")
	}
	secret.Uses(ctx, "secret key of AWS", secret.NewValue([]byte(keys.SecretAccessKey)))
	secret.Uses(ctx, "session token of AWS", secret.NewValue([]byte(keys.SessionToken)))
	c := &web.Client{Who: a.Who, Base: a.endpoint(cfg), HTTP: o.HTTP, Means: awsMeans}
	if err := awsTrust(c); err != nil {
		return nil, &secret.ResolveError{Problem: "the authorities for AWS: " + err.Error(), Try: "correct AWS_CA_BUNDLE"}
	}
	c.Auth = func(ctx context.Context, r *http.Request) error { return awsSign(ctx, r, keys, a.Name, cfg.Region) }
	return c, nil
}

// awsTrust obeys the variable that the SDK obeys for its own calls.
func awsTrust(c *web.Client) error {
	file := os.Getenv("AWS_CA_BUNDLE")
	if file == "" || c.HTTP != nil {
		return nil
	}
	authorities, err := os.ReadFile(file)
	if err == nil {
		c.HTTP, err = web.Trusting(authorities)
	}
	return err
}

// isName keeps what becomes a part of a host name from naming another host.
func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// awsSetup leaves out what the SDK says, which can be what another program or a server printed.
func awsSetup(ctx context.Context, problem, see string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &secret.ResolveError{Problem: problem, Try: "see " + see}
}

func (a AWS) endpoint(cfg aws.Config) string {
	for _, set := range []string{os.Getenv("AWS_ENDPOINT_URL_" + a.Variable), aws.ToString(cfg.BaseEndpoint)} {
		if set != "" {
			return set
		}
	}
	name := a.Host
	if name == "" {
		name = a.Name
	}
	host := "https://" + name + "." + cfg.Region + ".amazonaws.com"
	if strings.HasPrefix(cfg.Region, "cn-") {
		host += ".cn"
	}
	return host
}

func awsSign(ctx context.Context, r *http.Request, keys aws.Credentials, service, region string) error {
	body, err := r.GetBody()
	if err != nil {
		return err
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	return v4.NewSigner().SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), service, region, time.Now())
}

// awsErrors are the names that AWS has for errors, and the status each would be elsewhere: these services answer 400 to nearly everything.
var awsErrors = map[string]int{
	"ResourceNotFoundException": http.StatusNotFound,
	"ParameterNotFound":         http.StatusNotFound,
	"ParameterVersionNotFound":  http.StatusNotFound,

	"AccessDeniedException": http.StatusForbidden,
	"DecryptionFailure":     http.StatusForbidden,

	"UnrecognizedClientException": http.StatusUnauthorized,
	"InvalidClientTokenId":        http.StatusUnauthorized,
	"InvalidSignatureException":   http.StatusUnauthorized,
	"IncompleteSignature":         http.StatusUnauthorized,
	"MissingAuthenticationToken":  http.StatusUnauthorized,
	"ExpiredTokenException":       http.StatusUnauthorized,
	"RequestExpired":              http.StatusUnauthorized,

	"ThrottlingException":  http.StatusTooManyRequests,
	"InternalServiceError": http.StatusInternalServerError,
	"InternalServerError":  http.StatusInternalServerError,
}

func awsMeans(_ int, body []byte) (int, string) {
	var refusal struct {
		Type string `json:"__type"`
	}
	if json.Unmarshal(body, &refusal) != nil {
		return 0, ""
	}
	name := refusal.Type[strings.LastIndexByte(refusal.Type, '#')+1:]
	return awsErrors[name], name
}
