package store

import (
	"context"
	"errors"
	"hash/crc32"
	"strconv"

	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
	"github.com/tightlip/tightlip/secret/source/web"
)

var gcpSecretManager = kind{
	scheme: "gcp-secretmanager",
	about: secret.About{
		Form: "gcp-secretmanager:projects/PROJECT/secrets/NAME#KEY", What: "a secret of Google Cloud Secret Manager, or a key of the JSON in it",
		Example: "gcp-secretmanager:projects/shop/secrets/pip", Variables: cloud.GoogleVariables(),
	},
	who:  "gcloud auth list",
	read: readGCP,
}

// gcpNames are those of secrets and their versions. What they are made of needs no escaping, and a location becomes a part of a host name.
var gcpNames = lazy.Regexp(`^(projects/[a-z0-9.:-]+/(?:locations/([a-z0-9-]+)/)?secrets/[A-Za-z0-9_-]+)(/versions/[A-Za-z0-9_-]+)?$`)

var errChecksum = errors.New("the value was damaged on its way")

func readGCP(ctx context.Context, r request) (found, error) {
	name := gcpNames().FindStringSubmatch(r.Path)
	if name == nil {
		return found{}, &secret.SyntaxError{
			Problem: "a reference to gcp-secretmanager: is not the name of a secret", Try: "write gcp-secretmanager:projects/PROJECT/secrets/NAME or …/versions/N",
		}
	}
	token, err := cloud.Google(ctx, r.cloud())
	if err != nil {
		return found{}, err
	}
	host, version := "secretmanager.googleapis.com", name[3]
	if name[2] != "" {
		host = "secretmanager." + name[2] + ".rep.googleapis.com"
	}
	if version == "" {
		version = "/versions/latest"
	}
	c := web.Client{Who: "Google Secret Manager", Base: "https://" + host, Auth: web.Bearer(token), HTTP: r.HTTP}
	var answer struct {
		Payload *struct {
			Data     web.Base64 `json:"data"`
			Checksum string     `json:"dataCrc32c"`
		} `json:"payload"`
	}
	err = c.Do(ctx, web.Call{
		Path: "/v1/" + name[1] + version + ":access", Into: &answer,
		Needs: "secretmanager.versions.access on " + name[1] + ", as in the role roles/secretmanager.secretAccessor",
	})
	switch {
	case err != nil:
		return found{}, err
	case answer.Payload == nil:
		return found{}, web.ErrMalformed
	case answer.Payload.Checksum != "" && answer.Payload.Checksum != checksum(answer.Payload.Data.Open()):
		return found{}, errChecksum
	}
	return found{value: answer.Payload.Data.Value, key: r.Field}, nil
}

// checksum is a decimal number, since JavaScript has no 64-bit integers.
func checksum(data []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), 10)
}
