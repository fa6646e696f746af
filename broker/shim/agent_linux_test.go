package shim_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shim"
)

// keyring is an SSH agent with one key.
func keyring(t *testing.T, comment string) broker.Agents {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key, Comment: comment}); err != nil {
		t.Fatal(err)
	}
	return func(_ context.Context, id string) (io.ReadWriteCloser, error) {
		if id != "default" {
			return nil, broker.ErrNoAgent
		}
		here, there := net.Pipe()
		go func() {
			_ = agent.ServeAgent(ring, there)
			there.Close()
		}()
		return here, nil
	}
}

// listKeys runs in a step: it prints what the agent holds, and whether its keys sign.
func listKeys() int {
	err := func() error {
		var wg sync.WaitGroup
		errs := make(chan error, 20)
		for range 20 {
			wg.Go(func() { errs <- useAgent() })
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("signed")
	return 0
}

func useAgent() error {
	conn, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := agent.NewClient(conn)
	keys, err := client.List()
	if err != nil {
		return err
	}
	if len(keys) != 1 || keys[0].Comment != "a test's" {
		return errors.New("wrong keys")
	}
	pub, err := ssh.ParsePublicKey(keys[0].Blob)
	if err != nil {
		return err
	}
	data := []byte(strings.Repeat("x", 100_000))
	sig, err := client.Sign(pub, data)
	if err != nil {
		return err
	}
	return pub.Verify(data, sig)
}

func TestStepAgent(t *testing.T) {
	const target = "/run/buildkit/ssh_agent.0"
	mount := shim.Mount{Kind: shim.SSH, ID: "default", Target: target}
	for _, tt := range []struct {
		name, script, want string
		env                []string
		change             func(m *shim.Mount)
	}{
		{name: "used", script: "TIGHTLIP_TEST_KEYS=1 /dev/self", want: "signed\n"},
		{name: "ssh-add", script: "[ ! -x /usr/bin/ssh-add ] || ssh-add -l | grep -q \"a test's (ED25519)\" && echo listed", want: "listed\n"},
		{name: "variable and mode", script: "echo $SSH_AUTH_SOCK; stat -L -c %a,%u,%F $SSH_AUTH_SOCK", want: target + "\n600,0,socket\n"},
		{name: "owner", script: "stat -L -c %a,%u,%g $SSH_AUTH_SOCK", want: "660,1000,2000\n", change: func(m *shim.Mount) { m.Mode, m.UID, m.GID = 0o660, 1000, 2000 }},
		{name: "the image's own variable", script: "echo $SSH_AUTH_SOCK", want: "/own\n", env: []string{"SSH_AUTH_SOCK=/own"}},
		{name: "missing", script: "echo ${SSH_AUTH_SOCK-unset}; [ ! -e /run ]", want: "unset\n", change: func(m *shim.Mount) { m.ID = "other" }},
		{name: "long target", script: "[ $(readlink $SSH_AUTH_SOCK | wc -c) -lt 100 ] && echo short", want: "short\n", change: func(m *shim.Mount) { m.Target = "/run/" + strings.Repeat("x", 200) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newContainer(t, broker.Options{Agents: keyring(t, "a test's")})
			for _, link := range [][2]string{{"usr/lib", "lib"}, {"usr/lib64", "lib64"}, {"busybox", "bin/grep"}} {
				if err := os.Symlink(link[0], c.root+"/"+link[1]); err != nil {
					t.Fatal(err)
				}
			}
			c.usr = true
			c.env = append(c.env, tt.env...)
			c.env[0] = "PATH=/bin:/usr/bin"
			m := mount
			if tt.change != nil {
				tt.change(&m)
			}
			c.sh(tt.script, m).want(t, tt.want)
		})
	}
}

// TestStepAgentGone checks that a broken agent is said, and not only a closed connection.
func TestStepAgentGone(t *testing.T) {
	ring := keyring(t, "a test's")
	var calls atomic.Int32
	c := newContainer(t, broker.Options{Agents: func(ctx context.Context, id string) (io.ReadWriteCloser, error) {
		if calls.Add(1) > 1 {
			return nil, errors.New("gone")
		}
		return ring(ctx, id)
	}})
	for _, link := range [][2]string{{"usr/lib", "lib"}, {"usr/lib64", "lib64"}} {
		if err := os.Symlink(link[0], c.root+"/"+link[1]); err != nil {
			t.Fatal(err)
		}
	}
	c.usr = true
	c.env = append(c.env, "TIGHTLIP_TEST_KEYS=1")
	out := c.run(shim.Spec{Mounts: []shim.Mount{{Kind: shim.SSH, ID: "default", Target: "/s"}}, Command: []string{"/dev/self"}})
	if out.code != 1 || !strings.Contains(out.stderr, `tightlip: SSH agent "default": tightlip's server answered with status 502`) {
		t.Errorf("%+v", out)
	}
	out.traceless(t)
}
