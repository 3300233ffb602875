package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// All on 127.0.0.2: two of the tests insist that 127.0.0.1:5671 refuses.
const (
	host             = "127.0.0.2"
	amqpsAddress     = host + ":5671"
	webSocketAddress = host + ":443"
	tokenAddress     = host + ":8081"
	proxyAddress     = host + ":8082"
	blobAddress      = host + ":10000"
)

const stopTimeout = 10 * time.Second

// checkFree says which address is taken, before anything is started.
func checkFree() error {
	var taken []error
	for _, address := range []string{amqpsAddress, webSocketAddress, tokenAddress, proxyAddress, blobAddress, "127.0.0.1:5671"} {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			taken = append(taken, fmt.Errorf("%s cannot be used: %w", address, err))
			continue
		}
		_ = ln.Close()
	}
	return errors.Join(taken...)
}

// process is a program that this one started.
type process struct {
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
}

func start(cmd *exec.Cmd, logFile string) (*process, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	if err := cmd.Start(); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // it is stopped by a signal
		_ = log.Close()
	}()
	return p, nil
}

// stop asks the process to end, and kills it if it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

type simulator struct {
	*process
	root, work string
	// keys are the secrets of the keys by their name.
	keys map[string]string
}

const (
	keyAll    = "RootManageSharedAccessKey"
	keyListen = "listen"
	keySend   = "send"
)

func (s *simulator) file(name string) string { return filepath.Join(s.work, name) }

// startSimulator builds and starts the simulator and waits until it is ready.
func startSimulator(ctx context.Context, root, work string) (*simulator, error) {
	s := &simulator{root: root, work: work, keys: make(map[string]string)}
	for _, name := range []string{keyAll, keyListen, keySend} {
		secret := make([]byte, 32)
		if _, err := rand.Read(secret); err != nil {
			return nil, err
		}
		s.keys[name] = base64.StdEncoding.EncodeToString(secret)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", s.file("simulator"), "./simulator/cmd/simulator")
	build.Dir, build.Stderr = filepath.Join(root, "services"), os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("building simulator: %w", err)
	}
	if err := os.WriteFile(s.file("simulator.yaml"), []byte(s.config()), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, s.file("simulator"), "--config", s.file("simulator.yaml"))
	out, in := io.Pipe()
	cmd.Stdout = in
	var err error
	if s.process, err = start(cmd, s.file("simulator.log")); err != nil {
		return nil, err
	}
	go func() {
		<-s.done
		_ = in.CloseWithError(errors.New("simulator ended; see simulator.log"))
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		s.stop()
		return nil, fmt.Errorf("waiting for simulator: %w", err)
	}
	return s, nil
}

func (s *simulator) config() string {
	return fmt.Sprintf(`simulator:
  listen: {amqp: "", admin: "", amqps: %q, wss: %q, token_stub: %q, fake_arm: %q}
  tls: {ca_out: %q, cert_out: %q, key_out: %q, hosts: [management.azure.com]}
  hubs: []
  namespaces:
    - name: %s
      tokens: any
      keys:
        - {name: %s, secret: %q}
        - {name: %s, secret: %q, claims: [Listen]}
        - {name: %s, secret: %q, claims: [Send]}
      hubs:
        - {name: eventhub, partitions: 4}
        - {name: linksonly, partitions: 1}
        - {name: geo, partitions: 2, geo_replication: true}
`, amqpsAddress, webSocketAddress, tokenAddress, proxyAddress,
		s.file("ca.pem"), s.file("cert.pem"), s.file("key.pem"), host,
		keyAll, s.keys[keyAll], keyListen, s.keys[keyListen], keySend, s.keys[keySend])
}

func (s *simulator) connectionString(key string) string {
	return fmt.Sprintf("Endpoint=sb://%s/;SharedAccessKeyName=%s;SharedAccessKey=%s", host, key, s.keys[key])
}

// env is the environment the SDK's tests want; storage adds what those with a blob store need.
func (s *simulator) env(storage bool) []string {
	blob := "https://" + blobAddress + "/devstoreaccount1"
	env := []string{
		"EVENTHUB_NAMESPACE=" + host, "EVENTHUB_NAME=eventhub", "EVENTHUB_LINKSONLY_NAME=linksonly",
		"RESOURCE_GROUP=none", "AZURE_SUBSCRIPTION_ID=00000000-0000-0000-0000-000000000000",
		"CHECKPOINTSTORE_STORAGE_ENDPOINT=" + blob, "SSL_CERT_FILE=" + s.file("ca.pem"),
		"EVENTHUB_CONNECTION_STRING=" + s.connectionString(keyAll),
		"EVENTHUB_CONNECTION_STRING_LISTEN_ONLY=" + s.connectionString(keyListen),
		"EVENTHUB_CONNECTION_STRING_SEND_ONLY=" + s.connectionString(keySend),
	}
	if !storage {
		return env
	}
	return append(env,
		"AZURE_RECORD_MODE=live", "AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential",
		"IDENTITY_ENDPOINT=http://"+tokenAddress+"/token", "IDENTITY_HEADER=x",
		"EVENTHUBS_GEODR_NAMESPACE="+host, "EVENTHUBS_GEODR_HUBNAME=geo",
		"EVENTHUBS_GEODR_CHECKPOINTSTORE_STORAGE_ENDPOINT="+blob)
}

// startAzurite installs Azurite as the lock file has it, starts its blob service and waits until it listens.
func startAzurite(ctx context.Context, s *simulator) (*process, error) {
	folder := s.file("npm")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		data, err := os.ReadFile(filepath.Join(s.root, "acceptance", "eventhubs", name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			return nil, err
		}
	}
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-progress")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("installing azurite: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	cmd := exec.CommandContext(ctx, filepath.Join(folder, "node_modules", ".bin", "azurite-blob"),
		"--blobHost", host, "--blobPort", "10000", "--cert", s.file("cert.pem"), "--key", s.file("key.pem"),
		"--oauth", "basic", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableProductStyleUrl", "--disableTelemetry")
	cmd.Dir = s.work
	azurite, err := start(cmd, s.file("azurite.log"))
	if err != nil {
		return nil, err
	}
	for {
		c, err := net.DialTimeout("tcp", blobAddress, time.Second)
		if err == nil {
			return azurite, c.Close()
		}
		select {
		case <-azurite.done:
			return nil, errors.New("azurite ended; see azurite.log")
		case <-ctx.Done():
			azurite.stop()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
