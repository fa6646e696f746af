package translate

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/broker/shim"
)

// boot is what a translated step runs first: it fetches the shim from the build's server, with whatever the image has to
// fetch with, and becomes it. It is the same in every step of every build, or the builder's cache would never hit; where
// the server is and the build's ticket are in the last element of the predefined build argument NO_PROXY, which is in
// no history. The shim is no secret: only the shim itself uses the ticket, which would be seen in the arguments of a program.
// What is not a program for Linux is not run, or a shell might take it for an empty script and the step for done.
const boot = `e() { echo "tightlip: $*" >&2; exit 125; }; h() { command -v "$1" >/dev/null 2>&1; }; ` +
	`n=${NO_PROXY-}; n=${n##*,}; case $n in tightlip.*.*) ;; *) e "no server to get this step's secrets from: build with tightlip build";; esac; ` +
	`n=${n#tightlip.}; p=${n%%.*}; u=http://127.0.0.1:$p/shim; ` +
	`for f in /dev/.tightlip /tmp/.tightlip; do (: >$f) 2>/dev/null && break; done; ` +
	`if h curl; then curl -fsS --noproxy "*" -o $f $u; ` +
	`elif h wget; then http_proxy= no_proxy=127.0.0.1 wget -q -O $f $u; ` +
	`elif h busybox; then http_proxy= busybox wget -q -O $f $u; ` +
	`elif h python3 || h python; then y=python; h python3 && y=python3; $y -c '` +
	`import socket,sys;c=socket.create_connection(("127.0.0.1",int(sys.argv[1])));` +
	`c.sendall(b"GET /shim HTTP/1.0\r\n\r\n");r=c.makefile("rb");` +
	`any(l==b"\r\n" for l in iter(r.readline,b""));open(sys.argv[2],"wb").write(r.read())' $p $f; ` +
	`elif h perl; then perl -MIO::Socket::INET -e '` +
	`$s=IO::Socket::INET->new("127.0.0.1:$ARGV[0]") or die $!;print $s "GET /shim HTTP/1.0\r\n\r\n";` +
	`while(<$s>){last if /^\r?$/}binmode STDOUT;undef $/;print <$s>' $p >$f; ` +
	`elif h bash; then bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0; printf "GET /shim HTTP/1.0\r\n\r\n" >&3; ` +
	`while IFS= read -r l && [ ${#l} -gt 1 ]; do :; done <&3; cat <&3' $p >$f; ` +
	`else e "this step has nothing to fetch its secrets with: it needs one of ` + "curl, wget, busybox, python, perl or bash" + `"; fi; ` +
	`l=; { IFS= read -r l <$f; } 2>/dev/null; case $l in ?ELF*) ;; *) e "could not fetch what fetches this step's secrets";; esac; ` +
	`chmod 700 $f || e "this step has no chmod"; exec $f step "$@"`

// Fetchers are the programs, one of which a translated step needs beside a shell and chmod.
var Fetchers = []string{"curl", "wget", "busybox", "python3", "python", "perl", "bash"}

var shells = []string{"sh", "ash", "dash", "bash", "ksh", "zsh"}

// instruction is a RUN in exec form.
func instruction(args []string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(args) // strings always can be encoded
	return "RUN " + strings.TrimSuffix(b.String(), "\n")
}

// wrapped are the arguments of a RUN that has the shim run a spec's command.
func wrapped(s shim.Spec, shell []string) []string {
	sh := "/bin/sh"
	if len(shell) > 0 && slices.Contains(shells, path.Base(shell[0])) {
		sh = shell[0]
	}
	return append([]string{sh, "-c", boot, "tightlip"}, s.Args()...)
}
