package lint

import (
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/scan/detect"
)

// The rules. Why says who gets at what, and how; Fix is what to write instead.
var (
	literalSecret = &detect.Rule{
		ID: "literal-secret", Title: "secret written into the file", Severity: finding.Critical,
		Why: "The secret is in the repository, and with the instruction in the image: docker history --no-trunc shows RUN, CMD, LABEL and the rest as they are written; files of here-documents are in a layer.",
		Fix: "RUN --mount=type=secret,id=NAME,env=NAME,required=true …   # the value stays outside\ndocker build --secret id=NAME,env=NAME .",
	}
	credentialURL = &detect.Rule{
		ID: "credential-url", Title: "password in an address", Severity: finding.Critical,
		Why: "The address with its user and password is in the repository, in docker history, in provenance, and in whatever the tool writes down about where it got its files.",
		Fix: "RUN --mount=type=secret,id=netrc,target=/root/.netrc,required=true \\\n    curl -fsSLO https://files.corp.example/x.tgz\n# for ADD and Git: docker build --secret id=GIT_AUTH_TOKEN.git.corp.example,env=TOKEN",
	}
	secretArg = &detect.Rule{
		ID: "secret-arg", Title: "secret in a build argument", Severity: finding.High,
		Why: "docker history --no-trunc shows the values of build arguments with every RUN behind them, and provenance with mode=max has all of them, used or not.",
		Fix: "RUN --mount=type=secret,id=NAME,env=NAME,required=true …   # instead of ARG NAME\ndocker build --secret id=NAME,env=NAME .                     # instead of --build-arg",
	}
	secretEnv = &detect.Rule{
		ID: "secret-env", Title: "secret in the environment of the image", Severity: finding.High,
		Why: "ENV is in the config of the image: docker inspect shows it to everybody who can pull, and each process of each container has it.",
		Fix: "RUN --mount=type=secret,id=NAME,env=NAME,required=true …   # while building\ndocker run --env-file secrets.env IMAGE                      # while running",
	}
	envFromArg = &detect.Rule{
		ID: "env-from-arg", Title: "secret argument in the config of the image", Severity: finding.High,
		Why: "The argument's value becomes a part of the image's config: docker inspect shows it to everybody who can pull.",
		Fix: "RUN --mount=type=secret,id=NAME,env=NAME,required=true …   # instead of ARG and ENV",
	}
	copiedCredential = &detect.Rule{
		ID: "copied-credential", Title: "credential file in a layer", Severity: finding.High,
		Why: "The file is in a layer: docker run IMAGE cat FILE, or docker save IMAGE | tar -x.",
		Fix: "RUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=true npm ci\ndocker build --secret id=npmrc,src=.npmrc .",
	}
	copiedThenRemoved = &detect.Rule{
		ID: "copied-then-removed", Title: "credential file removed too late", Severity: finding.High,
		Why: "RUN rm only hides the file: it stays in the layer of its COPY, and docker save IMAGE | tar -x brings it back.",
		Fix: "RUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=true npm ci   # no COPY, no rm\ndocker build --secret id=npmrc,src=.npmrc .",
	}
	contextCredential = &detect.Rule{
		ID: "context-credential", Title: "credential file of the build context in a layer", Severity: finding.High,
		Why: "The instruction copies more than is meant: the file is in the build context, no .dockerignore leaves it out, and so it is in a layer.",
		Fix: "# .dockerignore\n.env\n.npmrc",
	}
	sshKeyCopied = &detect.Rule{
		ID: "ssh-key-copied", Title: "private SSH key in a layer", Severity: finding.Critical,
		Why: "The key is in a layer, whether a later RUN removes it or not: docker save IMAGE | tar -x.",
		Fix: "RUN --mount=type=ssh git clone git@git.corp.example:team/repo.git\ndocker build --ssh default .",
	}
	secretInFile = &detect.Rule{
		ID: "secret-in-file", Title: "secret written to a file that stays", Severity: finding.High,
		Why: "The RUN ends with the secret in a file, so that it is in a layer: docker save IMAGE | tar -x.",
		Fix: "RUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=true npm ci   # mount it where the tool looks for it",
	}
	secretInConfig = &detect.Rule{
		ID: "secret-in-config", Title: "secret kept by a tool in its configuration", Severity: finding.High,
		Why: "The tool writes the secret to its configuration file, which is in a layer when the RUN ends: docker save IMAGE | tar -x.",
		Fix: "RUN --mount=type=secret,id=NAME,env=NAME,required=true …   # for one command: an option, or git -c, or a mounted configuration",
	}
	secretInLog = &detect.Rule{
		ID: "secret-in-log", Title: "secret printed to the build log", Severity: finding.Medium,
		Why: "Whoever reads the log of the build has it: CI keeps logs for months, and shows them to everybody who sees the project.",
		Fix: "RUN --mount=type=secret,id=NAME,env=NAME test -n \"$NAME\"   # to see that it is there: without printing it",
	}
	secretTraced = &detect.Rule{
		ID: "secret-traced", Title: "secret printed by set -x", Severity: finding.Medium,
		Why: "With set -x the shell prints each command with its variables replaced: the secret is in the log of the build.",
		Fix: "RUN --mount=type=secret,id=NAME,env=NAME set -e; …   # without x, or set +x before the command",
	}
	mountNotRequired = &detect.Rule{
		ID: "mount-not-required", Title: "secret mount that may be missing", Severity: finding.Note,
		Why: "Without required=true a build that is not given the secret goes on with an empty variable, and may end with an image that is not what it seems.",
		Fix: "RUN --mount=type=secret,id=NAME,env=NAME,required=true …",
	}
	sshHostChecking = &detect.Rule{
		ID: "ssh-host-checking", Title: "SSH without checking the host", Severity: finding.Low,
		Why: "Whoever is between the build and the server can be the server: what is cloned may be anything, and passwords go to them.",
		Fix: "COPY known_hosts /etc/ssh/ssh_known_hosts   # the server's public key, in the repository",
	}
	sshKeyscan = &detect.Rule{
		ID: "ssh-keyscan", Title: "SSH host key taken from the network", Severity: finding.Low,
		Why: "ssh-keyscan believes whoever answers. The key that it writes down says nothing about the server.",
		Fix: "COPY known_hosts /etc/ssh/ssh_known_hosts   # the server's public key, in the repository",
	}
	copiedFromStage = &detect.Rule{
		ID: "copied-from-stage", Title: "secret copied from another stage", Severity: finding.High,
		Why: "What is copied holds a secret there, so that this stage has it in a layer, too.",
		Fix: "COPY --from=build /app/dist /app/dist   # what was built, and nothing else",
	}
	onbuildSecret = &detect.Rule{
		ID: "onbuild-secret", Title: "secret in every image that is built from this one", Severity: finding.High,
		Why: "ONBUILD runs in the builds of others, who do not see it in their Dockerfiles: their secret gets into their images.",
		Fix: "ONBUILD RUN --mount=type=secret,id=NAME,env=NAME,required=true …",
	}
	oldSyntax = &detect.Rule{
		ID: "old-syntax", Title: "syntax directive too old for what is used", Severity: finding.Low,
		Why: "The frontend that the first line names does not know the option: the build fails, or goes on without the secret.",
		Fix: "# syntax=docker/dockerfile:1",
	}
	networkSecret = &detect.Rule{
		ID: "network-secret", Title: "secret fetched over the network in an unsafe way", Severity: finding.High,
		Why: "What is in an address is in docker history and in the logs of servers and proxies; what is saved to a file is in a layer when the RUN ends.",
		Fix: "RUN --mount=type=secret,id=NAME,target=/root/.npmrc,required=true npm ci   # tightlip build brings it to builders without mounts",
	}
	callerSecretArg = &detect.Rule{
		ID: "caller-secret-arg", Title: "secret given to a build as an argument", Severity: finding.High,
		Why: "Build arguments are no secrets: docker history --no-trunc shows them with every RUN, and provenance with mode=max has all of them.",
		Fix: "docker build --secret id=NAME,env=NAME .   # compose, bake and build-push-action: secrets instead of args",
	}
	callerProvenance = &detect.Rule{
		ID: "caller-provenance", Title: "build arguments published", Severity: finding.Medium,
		Why: "Provenance with mode=max, and the build records that CI uploads, have the values of all build arguments in the clear.",
		Fix: "secrets: |   # instead of build-args\n  NAME=${{ secrets.NAME }}",
	}
)

var rules = []*detect.Rule{
	callerProvenance, callerSecretArg, contextCredential, copiedCredential, copiedFromStage, copiedThenRemoved, credentialURL, envFromArg,
	literalSecret, mountNotRequired, networkSecret, oldSyntax, onbuildSecret, secretArg, secretEnv, secretInConfig, secretInFile, secretInLog,
	secretTraced, sshHostChecking, sshKeyCopied, sshKeyscan,
}

// Rules lists the rules by their ids.
func Rules() []*detect.Rule { return rules }

// skippedBy are the rules that a check=skip directive of BuildKit turns off, by the name of its own check.
var skippedBy = map[string][]*detect.Rule{"SecretsUsedInArgOrEnv": {secretArg, secretEnv, envFromArg}}
