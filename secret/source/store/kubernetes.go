package store

import (
	"context"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

var kubernetesSecret = kind{
	scheme: "k8s-secret",
	about: secret.About{
		Form: "k8s-secret:NAMESPACE/NAME#KEY", What: "a key of a secret in Kubernetes", Example: "k8s-secret:ci/pip#password",
	},
	keys: []string{"context"},
	who:  "kubectl auth whoami",
	read: readKubernetes,
}

func readKubernetes(ctx context.Context, r request) (found, error) {
	namespace, name, ok := strings.Cut(r.Path, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return found{}, &secret.SyntaxError{
			Problem: "a reference to k8s-secret: is not a namespace and the name of a secret", Try: "write k8s-secret:NAMESPACE/NAME#KEY",
		}
	}
	c, err := kubernetesClient(ctx, r)
	if err != nil {
		return found{}, secret.Prerequisite("finding the way to Kubernetes", err)
	}
	var answer struct {
		Data map[string]web.Base64 `json:"data"`
	}
	err = c.Do(ctx, web.Call{
		Path: "/api/v1/namespaces/" + url.PathEscape(namespace) + "/secrets/" + url.PathEscape(name), Into: &answer,
		Needs: "the verb get on secrets/" + name + " in the namespace " + namespace,
	})
	if err != nil {
		return found{}, err
	}
	key, err := pick(answer.Data, r.Field)
	return found{value: answer.Data[key].Value}, err
}

// serviceAccount is where pods find who they are.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// kubernetesClient takes the user's configuration if there is one, else the pod's.
func kubernetesClient(ctx context.Context, r request) (*web.Client, error) {
	config, err := readKubeconfig()
	if err != nil {
		return nil, err
	}
	if config != nil {
		return config.client(ctx, r)
	}
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, &secret.ResolveError{Problem: "there is no kubeconfig, and this is no pod", Try: "export KUBECONFIG=FILE"}
	}
	a := access{server: "https://" + net.JoinHostPort(host, port)}
	if a.token, err = r.file(ctx, serviceAccount+"token"); err != nil {
		return nil, err
	}
	if a.authorities, err = r.file(ctx, serviceAccount+"ca.crt"); err != nil {
		return nil, err
	}
	return a.client(ctx)
}

// file is the content of a file.
func (r request) file(ctx context.Context, path string) (secret.Value, error) {
	ref, err := secret.FileRef(path)
	if err != nil {
		return secret.Value{}, err
	}
	lease, err := r.Resolve(ctx, ref)
	if err != nil {
		return secret.Value{}, err
	}
	return lease.Value, nil
}
