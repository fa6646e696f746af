package minter_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret/fake"
)

// startAWS starts an AWS whose user is in the environment.
func startAWS(t *testing.T) (*fake.AWS, parents) {
	t.Helper()
	a := fake.NewAWS(t)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_ACCESS_KEY_ID", a.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", a.SecretKey)
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return a, parents{"POLICY": []byte(`{"Version":"2012-10-17","Statement":[]}` + "\n"), "NOT": []byte("{not a policy}"), "KEY": []byte(a.SecretKey)}
}

func TestAWS(t *testing.T) {
	const role, other = "aws-sts:arn:aws:iam::123456789012:role/ci", "aws-sts:arn:aws:iam::123456789012:role/other"
	for name, test := range map[string]struct {
		ref    string
		life   time.Duration
		token  string // where in the value it is
		broken []string
		want   string // of the first broken one
	}{
		"sts": {
			example(t, "aws-sts", "file:policy.json", "env:POLICY"), 15 * time.Minute, `(?m)^\[default\]\naws_access_key_id = AS\w+\naws_secret_access_key = \w+\naws_session_token = (\w+)$`,
			[]string{other, role + "?policy=env:NOT", role + "?duration=12h"},
			"aws-sts: making a credential: AWS STS answered 403 Forbidden: needs sts:AssumeRole on arn:aws:iam::123456789012:role/other",
		},
		"sts as variables": {role + "?duration=1h#env", time.Hour, `(?m)^AWS_SESSION_TOKEN=(\w+)$`, []string{other}, ""},
		"sts as JSON":      {role + "#json", 15 * time.Minute, `"SessionToken":"(\w+)"`, []string{other}, ""},
		"codeartifact": {
			"codeartifact:acme/123456789012?duration=20m", 20 * time.Minute, `^(\w+)$`, []string{"codeartifact:other/123456789012"},
			"codeartifact: making a credential: AWS CodeArtifact answered 404 Not Found: ResourceNotFoundException",
		},
		"codeartifact by a role": {
			example(t, "codeartifact", "15m", "12h"), 12 * time.Hour, `^(\w+)$`,
			[]string{"codeartifact:acme/123456789012?role=arn:aws:iam::123456789012:role/other"},
			"codeartifact: making a credential: AWS STS answered 403 Forbidden: needs sts:AssumeRole on arn:aws:iam::123456789012:role/other",
		},
		"ecr": {
			example(t, "ecr"), 12 * time.Hour, `^(\w+)$`, []string{"ecr:210987654321"},
			"ecr: making a credential: Amazon ECR answered 403 Forbidden: AccessDeniedException: needs ecr:GetAuthorizationToken",
		},
	} {
		t.Run(name, func(t *testing.T) {
			runFaked(t, func(t *testing.T) faked {
				a, p := startAWS(t)
				f := faked{
					fake: a.Fake, http: a.HTTP(), parents: p, life: test.life, ref: test.ref, broken: test.broken, named: strings.HasPrefix(name, "sts"), twice: name == "codeartifact by a role", clocked: true,
					works: func(_ *testing.T, value string) bool {
						found := regexp.MustCompile(test.token).FindStringSubmatch(value)
						return found != nil && a.Alive(found[1])
					},
				}
				if test.want != "" {
					f.refused = map[string]string{test.broken[0]: test.want}
				}
				return f
			})
		})
	}
}

// TestAWSPolicy has the policy arrive, and Docker's file read.
func TestAWSPolicy(t *testing.T) {
	a, p := startAWS(t)
	f := faked{fake: a.Fake, http: a.HTTP(), parents: p}
	m, r := f.minter(t, "aws-sts:arn:aws:iam::123456789012:role/ci?policy=env:POLICY")
	if _, err := m.Resolve(t.Context(), r); err != nil || a.Tokens()[0].About["policy"] != strings.TrimSpace(string(p["POLICY"])) {
		t.Errorf("got %v, %v", a.Tokens(), err)
	}
	m, r = f.minter(t, "ecr:123456789012#docker")
	lease, err := m.Resolve(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Auths map[string]struct{ Auth []byte }
	}
	if err := json.Unmarshal(lease.Value.Open(), &config); err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(string(config.Auths["123456789012.dkr.ecr.eu-west-1.amazonaws.com"].Auth), ":")
	if user != "AWS" || !a.Alive(password) {
		t.Errorf("the user is %q", user)
	}
}
