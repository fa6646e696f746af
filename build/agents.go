package build

import (
	"context"
	"fmt"

	"github.com/tightlip/tightlip/broker/sshagent"
)

// HasSSHPolicy tells whether any agent of the build signs for some servers only, or with a key that is a secret.
func (r *Request) HasSSHPolicy() bool { return len(r.SSHPolicy) > 0 }

// Agents finds the SSH agents of a build, and gives them their policies and the keys that are secrets.
func (j *Job) Agents() (*sshagent.Agents, error) {
	specs, err := sshagent.ParseSpecs(j.Request.SSH)
	if err != nil {
		return nil, err
	}
	for i := range specs {
		settings, ok := j.Request.SSHPolicy[specs[i].ID]
		if !ok {
			continue
		}
		if id := settings.Secret; id != "" {
			specs[i].Key = func(ctx context.Context) ([]byte, error) {
				v, err := j.Handoff.Get(ctx, id)
				return v.Open(), err
			}
		}
		if settings.Secret != "" && len(settings.Allow) == 0 {
			continue // it is the key that is good for some servers only
		}
		if specs[i].Policy, err = settings.Policy(); err != nil {
			return nil, fmt.Errorf("the policy of the SSH agent %s: %w", specs[i].ID, err)
		}
		specs[i].Audit = j.AgentAudit
	}
	return sshagent.New(specs)
}
