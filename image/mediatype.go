package image

import (
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types that have no constant in the specification's package.
const (
	typeDockerIndex     = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeDockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerConfig    = "application/vnd.docker.container.image.v1+json"
	typeSchema1         = "application/vnd.docker.distribution.manifest.v1+json"
	typeSchema1Signed   = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	typeOldArtifact     = "application/vnd.oci.artifact.manifest.v1+json"
	typeInToto          = "application/vnd.in-toto+json"
	annotationRefType   = "vnd.docker.reference.type"
	annotationRefDigest = "vnd.docker.reference.digest"
	attestationManifest = "attestation-manifest"
	annotationImageName = "io.containerd.image.name"
)

// layerTypes are the media types that stand for a tar archive with a way to unpack it.
var layerTypes = map[string]bool{
	v1.MediaTypeImageLayer:                                         true,
	v1.MediaTypeImageLayerGzip:                                     true,
	v1.MediaTypeImageLayerZstd:                                     true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar":      true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": true,
	"application/vnd.docker.image.rootfs.diff.tar":                 true,
	"application/vnd.docker.image.rootfs.diff.tar.gzip":            true,
	"application/vnd.docker.image.rootfs.diff.tar.zstd":            true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":         true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd":    true,
}

func isConfigType(t string) bool {
	return t == v1.MediaTypeImageConfig || t == typeDockerConfig
}

// isManifestType tells whether a descriptor leads to a document with further descriptors.
// One without a type may: the document itself tells then.
func isManifestType(t string) bool {
	switch t {
	case v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, typeDockerIndex, typeDockerManifest, typeOldArtifact, "":
		return true
	}
	return isSchema1(t)
}

func isSchema1(t string) bool { return t == typeSchema1 || t == typeSchema1Signed }

// checkLayerType returns an error unless an image may have a layer of that type.
func checkLayerType(d v1.Descriptor) error {
	switch {
	case strings.HasSuffix(d.MediaType, "+encrypted"):
		return fmt.Errorf("layer %s: %w", d.Digest, ErrEncrypted)
	case layerTypes[d.MediaType], d.MediaType == typeInToto:
		return nil
	}
	return fmt.Errorf("layer %s: %w %q", d.Digest, ErrMediaType, d.MediaType)
}
