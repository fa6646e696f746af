package fake

import (
	"net/http"
	"testing"
)

// Kubernetes follows kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1 and …/common-definitions/status.
type Kubernetes struct {
	*Fake
	User   string // a token
	Member string // the common name of certificates that will do instead, whoever signed them

	secrets map[string]map[string][]byte // by NAMESPACE/NAME
}

// NewKubernetes has a user.
func NewKubernetes(t testing.TB) *Kubernetes {
	k := &Kubernetes{Fake: New(), secrets: map[string]map[string][]byte{}}
	k.Serve(t, API{
		TLS:   true,
		Calls: map[string]func(*http.Request) Answer{"GET /api/v1/namespaces/{namespace}/secrets/{name}": k.authorized},
		Error: func(status int, message string) Answer {
			reason := map[int]string{401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}[status]
			return OK(map[string]any{
				"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure", "message": message, "reason": reason, "code": status,
			})
		},
	})
	k.User = k.Issue("eyJ", 0, Token{Name: "user"}).Value
	return k
}

// Put stores a secret at NAMESPACE/NAME.
func (k *Kubernetes) Put(path string, data map[string][]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secrets[path] = data
}

func (k *Kubernetes) authorized(r *http.Request) Answer {
	if k.Member != "" && len(r.TLS.PeerCertificates) > 0 && r.TLS.PeerCertificates[0].Subject.CommonName == k.Member {
		return k.get(r, Token{})
	}
	return k.Authorized(k.get)(r)
}

func (k *Kubernetes) get(r *http.Request, _ Token) Answer {
	path := r.PathValue("namespace") + "/" + r.PathValue("name")
	k.mu.Lock()
	data, ok := k.secrets[path]
	k.mu.Unlock()
	if !ok {
		return k.Refuse(http.StatusNotFound, `secrets "`+r.PathValue("name")+`" not found`)
	}
	metadata := map[string]any{"name": r.PathValue("name"), "namespace": r.PathValue("namespace")}
	return OK(map[string]any{"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": data, "type": "Opaque"})
}
