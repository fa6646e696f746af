package build

import (
	"fmt"

	"github.com/tightlip/tightlip/broker/sshagent"
)

// HasSSHPolicy tells whether any agent of the build signs for some servers only.
func (r *Request) HasSSHPolicy() bool { return len(r.SSHPolicy) > 0 }

// Agents finds the SSH agents of a build and gives them their policies. Audit is called for what they are asked; it may be nil.
func (r *Request) Agents(audit func(sshagent.Event)) (*sshagent.Agents, error) {
	specs, err := sshagent.ParseSpecs(r.SSH)
	if err != nil {
		return nil, err
	}
	for i := range specs {
		settings, ok := r.SSHPolicy[specs[i].ID]
		if !ok {
			continue
		}
		if specs[i].Policy, err = settings.Policy(); err != nil {
			return nil, fmt.Errorf("the policy of the SSH agent %s: %w", specs[i].ID, err)
		}
		specs[i].Audit = audit
	}
	return sshagent.New(specs)
}
