package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/report"
	"github.com/tightlip/tightlip/secret"
)

// brokerFlags say which secrets the steps of a build use without having them.
type brokerFlags struct {
	routes, pass []string
	seal         bool
	audit        string
	sshAllow     []string
}

func (f *brokerFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.routes, "broker", nil, `let steps use a secret at an origin without having it ("npm=https://npm.corp.example:bearer", "…:basic:USER", "…:header:NAME")`)
	flags.StringArrayVar(&f.pass, "broker-pass", nil, "`origin` that steps with such a secret may reach without it, also in a private network")
	flags.BoolVar(&f.seal, "seal", false, "take the network away from steps with such a secret: they reach what the policy names, and nothing else")
	flags.StringVar(&f.audit, "audit", "", "append a line of JSON for each request of such steps to `file`, too")
	flags.StringArrayVar(&f.sshAllow, "ssh-allow", nil, `let an SSH agent sign only for a user at a known host ("default=git@git.corp.example")`)
	_ = cmd.MarkFlagFilename("audit")
}

// apply adds to a request what the files and the flags say of the broker.
func (f *brokerFlags) apply(cfg *config.Config, r *build.Request) error {
	for _, s := range cfg.Secrets {
		if len(s.Broker) == 0 {
			continue
		}
		if err := cfg.MayUse(config.UseBroker, s.Uses); err != nil {
			return err
		}
		if err := addRoutes(cfg, r, s.ID, s.Broker...); err != nil {
			return err
		}
	}
	for _, text := range f.routes {
		route, err := gate.ParseRoute(text)
		if err != nil {
			return usageError(fmt.Errorf("--broker: %w", err), "")
		}
		if err := addRoutes(cfg, r, route.Secret, route); err != nil {
			return err
		}
	}
	r.BrokerPass = slices.Clone(cfg.BrokerPass)
	for _, text := range f.pass {
		o, err := gate.ParseOrigin(text)
		if err != nil {
			return usageError(fmt.Errorf("--broker-pass: %w", err), "")
		}
		r.BrokerPass = append(r.BrokerPass, o)
	}
	any := false
	for i := range r.Secrets {
		s := &r.Secrets[i]
		entry, _ := cfg.Secret(s.ID)
		if len(s.Broker) == 0 {
			if err := cfg.MayUse(config.UseBroker, entry.Uses); err != nil {
				return err
			}
		}
		s.Seal = len(s.Broker) > 0 && (entry.Seal || f.seal)
		any = any || len(s.Broker) > 0
	}
	if !any && (f.seal || len(f.pass) > 0) {
		return usageError(errors.New("--seal and --broker-pass are for secrets that steps use through the broker, and there is none"), "--broker npm=https://npm.corp.example:bearer")
	}
	if any {
		return cfg.MayUse(config.UseBroker, cfg.PassUses)
	}
	return nil
}

// tellRoutes says where a project's file sends the user's credentials, before anything goes there.
func (a *app) tellRoutes(cfg *config.Config, r *build.Request) {
	for _, s := range r.Secrets {
		entry, _ := cfg.Secret(s.ID)
		if entry.Origin.Kind != config.FromProject || r.Quiet || r.Rehearse {
			continue
		}
		for _, route := range entry.Broker {
			fmt.Fprintf(a.streams.Err, "tightlip: %s lets steps use %s (%s) at %s\n", quoted(entry.Origin.Name), quoted(s.ID), a.redact(s.Ref.String()), route.Origin)
		}
	}
}

// agents adds what the files and the flags say of SSH agents.
func (f *brokerFlags) agents(cfg *config.Config, r *build.Request) error {
	r.SSHPolicy = map[string]sshagent.Settings{}
	for _, a := range cfg.Agents {
		r.SSHPolicy[a.ID] = a.Settings
		if a.Secret == "" || r.Rehearse || !hasAgent(r, a.ID) {
			continue
		}
		if err := cfg.MayUse(config.UseAgent, a.Uses); err != nil {
			return err
		}
		if err := addRoutes(cfg, r, a.Secret); err != nil { // the secret itself, if no flag gave it
			return err
		}
	}
	flags := map[string]bool{}
	for _, text := range f.sshAllow {
		id, target, ok := strings.Cut(text, "=")
		if !ok {
			return usageError(errors.New("--ssh-allow is not ID=USER@HOST"), "--ssh-allow default=git@git.corp.example")
		}
		s := r.SSHPolicy[id]
		if !flags[id] {
			if err := mayKnowHosts(cfg, id); err != nil {
				return err
			}
			s.Allow = nil
		}
		flags[id], s.Allow = true, append(s.Allow, target)
		r.SSHPolicy[id] = s
	}
	for id := range flags {
		if !hasAgent(r, id) {
			return usageError(fmt.Errorf("--ssh-allow: the build has no SSH agent %s", id), "--ssh "+id)
		}
	}
	return nil
}

// mayKnowHosts refuses known hosts of a project's file for what the user narrows.
func mayKnowHosts(cfg *config.Config, id string) error {
	i := slices.IndexFunc(cfg.Agents, func(a config.Agent) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	return cfg.MayUse(config.UseAgent, cfg.Agents[i].Hosts)
}

// hasAgent tells whether the build has an SSH agent with an id.
func hasAgent(r *build.Request, id string) bool {
	return slices.ContainsFunc(r.SSH, func(s string) bool { name, _, _ := strings.Cut(s, "="); return name == id })
}

// showAgent tells of what an SSH agent refused: ssh itself only hears a no.
func (a *app) showAgent(e sshagent.Event) {
	if !e.Granted && e.Request == sshagent.Sign {
		to := e.User
		if e.Host != "" {
			to += "@" + e.Host
		}
		fmt.Fprint(a.streams.Err, a.redact(fmt.Sprintf("tightlip: SSH agent %s: refused to sign for %s: %s\n", quoted(e.Agent), quoted(to), e.Reason)))
	}
}

// addRoutes adds to what a secret may be used for, and the secret itself if no flag gave it.
func addRoutes(cfg *config.Config, r *build.Request, id string, routes ...gate.Route) error {
	at := func(s build.Secret) bool { return s.ID == id }
	i := slices.IndexFunc(r.Secrets, at)
	if i < 0 {
		spec, err := cfg.Complete(secret.Spec{ID: id}, os.LookupEnv)
		if err != nil {
			return err
		}
		entry, _ := cfg.Secret(id)
		i = len(r.Secrets)
		r.Secrets = append(r.Secrets, build.Secret{ID: id, Ref: spec.Ref, RebuildOnChange: spec.RebuildOnChange, Waived: entry.Waive, Argument: spec.Argument})
	}
	r.Secrets[i].Broker = append(r.Secrets[i].Broker, routes...)
	return nil
}

// requestLog keeps what went through the broker of a build: in the file of this build, in another one if the user names it, and
// summed up.
type requestLog struct {
	dir, file string

	mu      sync.Mutex
	out     []*os.File
	logs    []*gate.AuditLog
	lines   []auditLine
	refused []gate.Event
	fetched map[string]proof.Material // by address and digest
	err     error
}

// maxRefused is how many refused requests are shown.
const maxRefused = 10

// maxAudits is how many builds are remembered.
const maxAudits = 100

func auditDir(cfg *config.Config) string {
	if cfg.StateDir == "" {
		return ""
	}
	return filepath.Join(cfg.StateDir, "audit")
}

func newRequestLog(cfg *config.Config, file string) *requestLog {
	return &requestLog{dir: auditDir(cfg), file: file, fetched: map[string]proof.Material{}}
}

// write takes one event.
func (l *requestLog) write(e gate.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logs == nil && l.err == nil {
		l.open()
	}
	for _, log := range l.logs {
		log.Write(e)
	}
	l.lines = sum(l.lines, e)
	l.keep(e)
	if e.Verdict == gate.Refused && e.Status != http.StatusProxyAuthRequired && len(l.refused) < maxRefused {
		l.refused = append(l.refused, e)
	}
}

// maxMaterials bounds what is kept of a build that fetches without end.
const maxMaterials = 50_000

// keep remembers what a step fetched.
func (l *requestLog) keep(e gate.Event) {
	m := proof.Material{URI: e.Origin + e.Path, Digest: map[string]string{"sha256": e.SHA256}}
	if e.SHA256 != "" && len(l.fetched) < maxMaterials {
		l.fetched[m.URI+" "+e.SHA256] = m
	}
}

// materials are what steps fetched, sorted.
func (l *requestLog) materials() []proof.Material {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []proof.Material
	for _, key := range slices.Sorted(maps.Keys(l.fetched)) {
		out = append(out, l.fetched[key])
	}
	return out
}

// report is what went through the broker, in the shape that is printed.
func (l *requestLog) report() []report.Requests {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []report.Requests
	for _, line := range sorted(l.lines) {
		out = append(out, report.Requests{Origin: line.Origin, Secret: line.Secret, Verdict: string(line.Verdict), Requests: line.Requests, Bytes: line.Bytes})
	}
	return out
}

// open makes the files when there is something to write.
func (l *requestLog) open() {
	if l.dir != "" {
		if err := os.MkdirAll(l.dir, 0o700); err != nil {
			l.err = err
			return
		}
		l.add(filepath.Join(l.dir, time.Now().UTC().Format("20060102T150405.000")+"-"+strings.ToLower(rand.Text()[:6])+".jsonl"))
		forgetAudits(l.dir)
	}
	if l.file != "" {
		l.add(l.file)
	}
}

func (l *requestLog) add(name string) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		l.err = errors.Join(l.err, err)
		return
	}
	l.out, l.logs = append(l.out, f), append(l.logs, gate.AuditTo(f))
}

// close ends the files.
func (l *requestLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.err
	for i, f := range l.out {
		err = errors.Join(err, l.logs[i].Err(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the audit: %w", err)
	}
	return nil
}

// audits lists the files of builds, the oldest first.
func audits(dir string) []string {
	names, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	slices.Sort(names)
	return names
}

func forgetAudits(dir string) {
	names := audits(dir)
	for _, name := range names[:max(0, len(names)-maxAudits)] {
		_ = os.Remove(name)
	}
}

// lastAudit is the file of the newest build that used the broker.
func (a *app) lastAudit() (string, error) {
	cfg, err := a.load(map[string]string{})
	if err != nil {
		return "", err
	}
	names := audits(auditDir(cfg))
	if len(names) == 0 {
		return "", usageError(fmt.Errorf("no build has used the broker here yet: %w", fs.ErrNotExist), "tightlip audit FILE, of tightlip broker --audit FILE")
	}
	return names[len(names)-1], nil
}

// brokerNotes sum up what went through the broker.
func (a *app) brokerNotes(l *requestLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range sorted(l.lines) {
		with := ""
		if line.Secret != "" {
			with = " with " + line.Secret
		}
		fmt.Fprintf(a.streams.Err, "tightlip: broker: %s: %d %s%s, %d bytes\n", quoted(line.Origin), line.Requests, line.Verdict, with, line.Bytes)
	}
	for _, e := range l.refused {
		fmt.Fprintf(a.streams.Err, "tightlip: broker: %s\n", a.redact(stepText(e)+eventText(e)))
	}
}

func stepText(e gate.Event) string {
	if e.Step == "" {
		return ""
	}
	return e.Step + ": "
}
