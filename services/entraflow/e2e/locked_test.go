package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	_ "google.golang.org/grpc/reflection/grpc_reflection_v1alpha" // its descriptor
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/entra"
)

// attempt bounds one try to get in.
const attempt = 10 * time.Second

// TestNobodyGetsInWithoutCredentials tries every port of a running product, which holds a simulated tenant's records,
// as a local program that knows no password: it can subscribe, publish, query or fetch nothing.
func TestNobodyGetsInWithoutCredentials(t *testing.T) {
	t.Parallel()
	amqpAddress, simulatorAdmin, graph := freeAddress(t), freeAddress(t), freeAddress(t)
	ctx, p := newProduct(t, map[string]any{"simulator": true}, simulatedListeners(amqpAddress, simulatorAdmin, graph))
	p.start(ctx, t)

	t.Run("ports", func(t *testing.T) {
		known := []string{p.natsAddress, p.storeAddress, p.gateway, p.rest, p.up.admin, amqpAddress, simulatorAdmin, graph}
		require.ElementsMatch(t, known, listening(t, p.up.id()), "every port is tried below, and all are on loopback")
	})
	t.Run("files", func(t *testing.T) { requirePrivate(t, p) })
	t.Run("nats", func(t *testing.T) { requireNATSLocked(t, p) })
	t.Run("clickhouse", func(t *testing.T) { requireStoreLocked(ctx, t, p) })
	t.Run("grpc", func(t *testing.T) { requireGatewayLocked(ctx, t, p) })
	t.Run("http", func(t *testing.T) {
		for _, path := range []string{"/v1/sign-ins", "/v1/events:subscribe", "/v1/integrations", "/v1/directory/users", "/v1/audit-entries", "/v1/system:status"} {
			for _, token := range []string{"", "wrong"} {
				code, body, err := get(ctx, "http://"+p.rest+path, token)
				require.NoError(t, err)
				require.Equal(t, http.StatusUnauthorized, code, path)
				require.NotContains(t, strings.ToLower(body), "tenant", path)
			}
		}
	})
	t.Run("amqp", func(t *testing.T) { requireHubLocked(ctx, t, amqpAddress) })
	t.Run("admin", func(t *testing.T) { requireAdminLocked(ctx, t, p) })
	t.Run("simulated graph", func(t *testing.T) { requireGraphLocked(ctx, t, p, graph) })
	t.Run("simulator admin", func(t *testing.T) {
		for _, path := range []string{"/", "/v1/state", "/v1/hubs", "/v1/hubs/" + hubName, "/v1/replays", "/v1/faults", "/metrics", "/v1/entra/tenants", "/v1/entra/apps"} {
			for _, token := range []string{"", "wrong"} {
				code, body, err := get(ctx, "http://"+simulatorAdmin+path, token)
				require.NoError(t, err)
				require.Equal(t, http.StatusUnauthorized, code, path)
				require.NotContains(t, body, hubName, path)
			}
		}
	})
	// Whoever knows them gets in: the attempts above failed for what they lacked alone.
	require.NoError(t, eventually(ctx, "records", func() (bool, error) {
		return count(ctx, t, p.queryable(t), "SELECT count() FROM sign_ins") > 0, nil
	}))
	p.terminate(t)
}

// requireGraphLocked checks that the simulated Graph gives nothing without a token.
func requireGraphLocked(ctx context.Context, t *testing.T, p *product, address string) {
	t.Helper()
	endpoints, err := entra.NewEndpoints(entra.CloudGlobal, entra.Overrides{CAFile: filepath.Join(p.dataDir, "simulator-ca.pem")})
	require.NoError(t, err)
	transport := endpoints.Transport()
	defer transport.CloseIdleConnections()
	for _, path := range []string{"/v1.0/users", "/v1.0/organization", "/beta/auditLogs/signIns"} {
		for _, token := range []string{"", "Bearer wrong"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, http.NoBody)
			require.NoError(t, err)
			req.Header.Set("Authorization", token)
			res, err := transport.RoundTrip(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusUnauthorized, res.StatusCode, path)
		}
	}
}

// listening returns where a process listens.
func listening(t *testing.T, id int) []string {
	t.Helper()
	entries, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", id))
	require.NoError(t, err)
	sockets := map[string]bool{}
	for _, entry := range entries {
		if link, err := os.Readlink(entry); err == nil { // it may have been closed
			sockets[strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")] = true
		}
	}
	var found []string
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", id, table))
		require.NoError(t, err)
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			// sl local_address rem_address st ... inode; 0A is a TCP listener, 07 an open UDP socket
			f := strings.Fields(lines.Text())
			const state, inode = 3, 9
			if len(f) > inode && (f[state] == "0A" || f[state] == "07") && sockets[f[inode]] {
				found = append(found, addressOf(t, f[1]))
			}
		}
		require.NoError(t, file.Close())
	}
	return found
}

// addressOf reads an address of /proc/net; what is not 127.0.0.1 stays as it is.
func addressOf(t *testing.T, text string) string {
	t.Helper()
	host, port, _ := strings.Cut(text, ":")
	if host != "0100007F" {
		return text
	}
	var number int
	_, err := fmt.Sscanf(port, "%X", &number)
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", number)
}

// requirePrivate checks that other users of the machine can read no file of the data directory.
func requirePrivate(t *testing.T, p *product) {
	t.Helper()
	info, err := os.Stat(p.dataDir)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "mode of the data directory")
	entries, err := os.ReadDir(p.credentials)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), entry.Name())
	}
}

func requireNATSLocked(t *testing.T, p *product) {
	t.Helper()
	address := "nats://" + p.natsAddress
	tries := [][]nats.Option{nil, {nats.Token("wrong")}}
	for _, user := range append(bus.Users(), "", "sys", "$SYS", "admin") {
		tries = append(tries, []nats.Option{nats.UserInfo(user, "")}, []nats.Option{nats.UserInfo(user, user)})
	}
	for _, options := range tries {
		conn, err := nats.Connect(address, append(options, nats.Timeout(attempt))...)
		require.ErrorIs(t, err, nats.ErrAuthorization)
		require.Nil(t, conn)
	}
	for _, hello := range []string{"", "CONNECT {}\r\n", `CONNECT {"user":"operator"}` + "\r\n"} {
		said := talk(t, p.natsAddress, hello+"SUB > 1\r\nPUB events.v1.signin.x 2\r\nhi\r\nPUB $JS.API.INFO inbox 0\r\n\r\nPING\r\n")
		require.Contains(t, said, "-ERR", hello)
		require.NotContains(t, said, "PONG", hello)
		require.NotContains(t, said, "MSG", hello)
	}
	// The reader knows a password, and yet writes nothing and reads no bucket.
	conn, err := nats.Connect(address, nats.UserInfo(bus.UserReader, p.password(t, bus.UserReader)),
		nats.CustomInboxPrefix(bus.InboxPrefix(bus.UserReader)), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	defer conn.Close()
	for _, subject := range []string{"events.v1.signin.x", "$KV.checkpoints.x", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.EVENTS"} {
		_, err := conn.Request(subject, []byte("{}"), time.Second)
		require.Error(t, err, subject)
		require.ErrorIs(t, conn.LastError(), nats.ErrPermissionViolation, subject)
	}
}

// talk sends text and returns everything that is answered until the other side hangs up or is silent.
func talk(t *testing.T, address, text string) string {
	t.Helper()
	dialer := net.Dialer{Timeout: attempt}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(attempt)))
	_, _ = io.WriteString(conn, text) // it may hang up in the middle
	said, err := io.ReadAll(conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it must hang up")
	return string(said)
}

func requireStoreLocked(ctx context.Context, t *testing.T, p *product) {
	t.Helper()
	base := "http://" + p.storeAddress
	query := "query=" + url.QueryEscape("SELECT count() FROM entraflow.sign_ins FORMAT TSV")
	for _, path := range []string{
		"/?" + query, "/?user=default&" + query, "/?user=reader&" + query, "/?user=reader&password=&" + query,
		"/?user=default&password=default&" + query, "/?user=entraflow&password=wrong&" + query,
		"/play", "/dashboard", "/metrics", "/replicas_status", "/?query=SELECT+1",
	} {
		code, body, err := get(ctx, base+path, "")
		require.NoError(t, err)
		require.GreaterOrEqual(t, code, http.StatusBadRequest, path)
		require.NotRegexp(t, `^\d+\n$`, body, path)
	}
	for _, user := range []string{"", "default", "reader", "entraflow"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/", strings.NewReader("DROP DATABASE entraflow"))
		require.NoError(t, err)
		request.Header.Set("X-ClickHouse-User", user)
		request.Header.Set("X-ClickHouse-Key", "wrong")
		response, err := answers.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.GreaterOrEqual(t, response.StatusCode, http.StatusBadRequest, user)
	}
	// The reader knows the password, and yet changes nothing.
	for _, statement := range []string{
		"DROP TABLE sign_ins", "INSERT INTO sign_ins (id) VALUES ('x')", "CREATE TABLE x (a Int8) ENGINE = Memory",
		"SELECT * FROM file('/etc/passwd', 'LineAsString')", "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
	} {
		require.Error(t, p.queryable(t).Exec(ctx, statement), statement)
	}
}

func requireGatewayLocked(ctx context.Context, t *testing.T, p *product) {
	t.Helper()
	conn, err := grpc.NewClient(p.gateway, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	known := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+p.secret(t, "gateway.token"))
	methods := methodsOf(known, t, conn)
	require.Greater(t, len(methods), 5)
	for _, method := range append(methods, "/entraflow.control.v1.None/Such", "/grpc.health.v1.Health/Nothing") {
		require.Equal(t, codes.Unauthenticated, call(ctx, t, conn, method), method)
		for _, credentials := range []string{"Bearer wrong", "Bearer ", "Basic YTpi", "wrong"} {
			claimed := metadata.AppendToOutgoingContext(ctx, "authorization", credentials)
			require.Equal(t, codes.Unauthenticated, call(claimed, t, conn, method), "%s with %q", method, credentials)
		}
	}
}

// methodsOf lists all methods of a server by its reflection, which needs the token.
func methodsOf(ctx context.Context, t *testing.T, conn *grpc.ClientConn) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	var methods []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.GetName()))
		require.NoError(t, err)
		descriptor, ok := found.(protoreflect.ServiceDescriptor)
		require.True(t, ok, service.GetName())
		for i := range descriptor.Methods().Len() {
			methods = append(methods, "/"+service.GetName()+"/"+string(descriptor.Methods().Get(i).Name()))
		}
	}
	return methods
}

// call calls a method with an empty message and returns the code of the answer.
func call(ctx context.Context, t *testing.T, conn *grpc.ClientConn, method string) codes.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	require.NoError(t, err)
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
		require.ErrorIs(t, err, io.EOF) // it was refused meanwhile
	}
	_ = stream.CloseSend() // likewise
	return status.Code(stream.RecvMsg(&emptypb.Empty{}))
}

func requireHubLocked(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 6*attempt)
	defer cancel()
	// Every hub connection may say hello; without a token no link but that for tokens opens.
	conn, err := amqp.Dial(ctx, "amqp://"+address, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous(), HostName: "localhost"})
	require.NoError(t, err)
	defer conn.Close()
	source := hubName + "/ConsumerGroups/$Default/Partitions/0"
	session, err := conn.NewSession(ctx, nil)
	require.NoError(t, err)
	_, err = session.NewReceiver(ctx, source, nil)
	requireRefused(t, err, source)
	for _, target := range []string{hubName, hubName + "/Partitions/0"} {
		session, err := conn.NewSession(ctx, nil)
		require.NoError(t, err)
		_, err = session.NewSender(ctx, target, nil)
		requireRefused(t, err, target)
	}
	for name, key := range map[string]string{"RootManageSharedAccessKey": "d3Jvbmc=", "nobody": "d3Jvbmc="} {
		connection := fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", address, name, key)
		client, err := azeventhubs.NewConsumerClientFromConnectionString(connection, hubName, azeventhubs.DefaultConsumerGroup,
			&azeventhubs.ConsumerClientOptions{RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1}})
		require.NoError(t, err)
		_, err = client.GetEventHubProperties(ctx, nil)
		require.ErrorContains(t, err, "status code 401", name)
		require.NoError(t, client.Close(ctx))
	}
}

func requireRefused(t *testing.T, err error, what string) {
	t.Helper()
	var refused *amqp.Error
	if detached, ok := errors.AsType[*amqp.LinkError](err); ok {
		refused = detached.RemoteErr
	} else {
		require.ErrorAs(t, err, &refused, what)
	}
	require.Equal(t, amqp.ErrCondUnauthorizedAccess, refused.Condition, what)
}

func requireAdminLocked(ctx context.Context, t *testing.T, p *product) {
	t.Helper()
	for _, probe := range []string{"/healthz", "/readyz"} {
		code, body, err := get(ctx, "http://"+p.up.admin+probe, "")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok\n", body, "a probe tells no more")
	}
	for path, want := range map[string]int{
		"/metrics": http.StatusUnauthorized, "/config": http.StatusUnauthorized, "/config?mode=diff": http.StatusUnauthorized,
		"/": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound, "/debug/vars": http.StatusNotFound,
	} {
		for _, token := range []string{"", "wrong"} {
			code, _, err := get(ctx, "http://"+p.up.admin+path, token)
			require.NoError(t, err)
			require.Equal(t, want, code, path)
		}
		code, body, err := get(ctx, "http://"+p.up.admin+path, p.up.token)
		require.NoError(t, err)
		if want == http.StatusUnauthorized {
			require.Equal(t, http.StatusOK, code, path)
		}
		for _, user := range bus.Users() {
			require.NotContains(t, body, p.password(t, user), "%s tells the password of %s", path, user)
		}
	}
}
