package store

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
	"go.yaml.in/yaml/v3"
)

// kubeconfig is what we read of the file that kubernetes.io/docs/reference/config-api/kubeconfig.v1 describes.
type kubeconfig struct {
	Current  string `yaml:"current-context"`
	Contexts []struct {
		Name    string
		Context struct{ Cluster, User string }
	}
	Clusters []struct {
		Name    string
		Cluster struct {
			Server      string
			Authority   string `yaml:"certificate-authority"`
			Authorities string `yaml:"certificate-authority-data"`
			Insecure    bool   `yaml:"insecure-skip-tls-verify"`
		}
	}
	Users []struct {
		Name string
		User kubeUser
	}
	dir string // where its relative paths start
}

type kubeUser struct {
	Token           string
	TokenFile       string `yaml:"tokenFile"`
	Certificate     string `yaml:"client-certificate"`
	CertificateData string `yaml:"client-certificate-data"`
	Key             string `yaml:"client-key"`
	KeyData         string `yaml:"client-key-data"`
}

// readKubeconfig reads the first file there is of KUBECONFIG, or the one in the home directory; nil: there is none.
func readKubeconfig() (*kubeconfig, error) {
	paths := filepath.SplitList(os.Getenv("KUBECONFIG"))
	if home, err := os.UserHomeDir(); len(paths) == 0 && err == nil {
		paths = []string{filepath.Join(home, ".kube", "config")}
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c := &kubeconfig{dir: filepath.Dir(path)}
		if yaml.Unmarshal(content, c) != nil { // its error may quote the file
			return nil, errors.New(path + " is no kubeconfig")
		}
		return c, nil
	}
	return nil, nil
}

// access is how a cluster is reached, and as whom.
type access struct {
	server           string
	authorities      secret.Value
	token            secret.Value
	certificate, key secret.Value
}

var errKubeUser = &secret.ResolveError{
	Problem: "the user of the context has neither a token nor a certificate; plugins are not run",
	Try:     "kubectl create token NAME, and put it into a kubeconfig of its own",
}

// client is the one of a context.
func (c *kubeconfig) client(ctx context.Context, r request) (*web.Client, error) {
	name := r.Or("context", c.Current)
	for _, context := range c.Contexts {
		if context.Name == name {
			return c.open(ctx, r, context.Context.Cluster, context.Context.User)
		}
	}
	return nil, &secret.ResolveError{Problem: "the kubeconfig has no context " + name, Try: "kubectl config get-contexts"}
}

func (c *kubeconfig) open(ctx context.Context, r request, cluster, user string) (*web.Client, error) {
	var a access
	var errs []error
	load := func(into *secret.Value, data, path string) {
		value, err := c.load(ctx, r, data, path)
		*into = value
		errs = append(errs, err)
	}
	for _, named := range c.Clusters {
		if named.Name == cluster {
			if named.Cluster.Insecure {
				return nil, errors.New("the cluster " + cluster + " is not to be verified, by insecure-skip-tls-verify")
			}
			a.server = named.Cluster.Server
			load(&a.authorities, named.Cluster.Authorities, named.Cluster.Authority)
		}
	}
	for _, named := range c.Users {
		if named.Name == user {
			load(&a.token, base64.StdEncoding.EncodeToString([]byte(named.User.Token)), named.User.TokenFile)
			load(&a.certificate, named.User.CertificateData, named.User.Certificate)
			load(&a.key, named.User.KeyData, named.User.Key)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if a.token.Len() == 0 && a.certificate.Len() == 0 {
		return nil, errKubeUser
	}
	return a.client(ctx)
}

// load decodes what is in the file itself, or reads what it points at.
func (c *kubeconfig) load(ctx context.Context, r request, data, path string) (secret.Value, error) {
	if data == "" && path == "" {
		return secret.Value{}, nil
	}
	if data == "" {
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.dir, path)
		}
		return r.file(ctx, path)
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(data))
	if err != nil {
		return secret.Value{}, errors.New("the kubeconfig has data that is not base64")
	}
	return secret.NewValue(decoded), nil
}

func (a access) client(ctx context.Context) (*web.Client, error) {
	secret.Uses(ctx, "token for Kubernetes", a.token)
	secret.Uses(ctx, "key for Kubernetes", a.key)
	c := &web.Client{Who: "Kubernetes", Base: a.server}
	if a.token.Len() > 0 {
		c.Auth = web.Bearer(a.token)
	}
	var own []tls.Certificate
	if a.certificate.Len() > 0 {
		certificate, err := tls.X509KeyPair(a.certificate.Open(), a.key.Open())
		if err != nil {
			return nil, errors.New("the client's certificate and key do not belong together")
		}
		own = append(own, certificate)
	}
	var err error
	c.HTTP, err = web.Trusting(a.authorities.Open(), own...)
	return c, err
}
