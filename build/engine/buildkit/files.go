package buildkit

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/docker/buildx/util/confutil"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
)

func write(text []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
}

// writeFiles writes what the request wants to have in files.
func (r *result) writeFiles(named build.Named) error {
	if name := r.job.Request.IIDFile; name != "" {
		if err := build.WriteFile(name, write([]byte(named.ID))); err != nil {
			return fmt.Errorf("writing the image ID: %w", err)
		}
	}
	name := r.job.Request.MetadataFile
	if name == "" {
		return nil
	}
	names, err := r.tags()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		r.response.ExporterResponse["image.name"] = strings.Join(names, ",")
	}
	metadata := decodeResponse(r.response.ExporterResponse)
	if len(r.warnings) > 0 && confutil.MetadataWarningsEnabled() {
		metadata["buildx.build.warnings"] = r.warnings
	}
	text, err := json.MarshalIndent(metadata, "", "  ")
	if err != nil {
		return err
	}
	text = r.job.Redact.Bytes(text)
	if err := build.WriteFile(name, write(text)); err != nil {
		return fmt.Errorf("writing the metadata: %w", err)
	}
	return nil
}

// tags are the names of the image in all outputs, without the paths of files.
func (r *result) tags() ([]string, error) {
	var tags []string
	for _, o := range r.outputs {
		if o.Place == output.CacheOnly || !o.HoldsImage() && o.Place != output.InStore {
			continue
		}
		names, err := output.Normalize(o.Names)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !slices.Contains(tags, name) {
				tags = append(tags, name)
			}
		}
	}
	return tags, nil
}

// decodeResponse unpacks the JSON documents that BuildKit puts into its response in base64.
func decodeResponse(response map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range response {
		out[k] = v
		data := []byte(v)
		if k != "result.json" {
			var err error
			if data, err = base64.StdEncoding.DecodeString(v); err != nil {
				continue
			}
		}
		if s := strings.TrimSpace(string(data)); json.Valid(data) && (strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[{")) {
			out[k] = json.RawMessage(data)
		}
	}
	return out
}
