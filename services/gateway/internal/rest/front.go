package rest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/rs/cors"
	"golang.org/x/sync/semaphore"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

// front is the handler of all requests: it gives each to the gRPC server over conn.
type front struct {
	cfg      Config
	set      Settings
	conn     *grpc.ClientConn
	routes   []route
	json     *marshaler
	mux      *runtime.ServeMux
	next     http.Handler
	docs     *docs
	bodies   *semaphore.Weighted // bytes of bodies under way
	stopping <-chan struct{}     // closed when streams must end
}

func newFront(ctx context.Context, cfg Config, set Settings, conn *grpc.ClientConn, stopping <-chan struct{}) (*front, error) {
	f := &front{cfg: cfg, set: set, conn: conn, routes: listRoutes(), json: newMarshaler(), stopping: stopping}
	f.bodies = semaphore.NewWeighted(int64(cfg.MaxBodies))
	f.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, f.json),
		runtime.WithIncomingHeaderMatcher(passes),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(aboutClient),
		runtime.WithForwardResponseOption(answerRequestID),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			f.fail(w, r, err)
		}),
		runtime.WithRoutingErrorHandler(f.misrouted),
		runtime.WithMiddlewares(f.checked),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		// %2F stays what it is inside a name, and nothing is decoded twice.
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
	)
	for _, register := range registrations() {
		if err := register(ctx, f.mux, conn); err != nil {
			return nil, fmt.Errorf("registering handlers: %w", err)
		}
	}
	if err := f.registerStreams(); err != nil {
		return nil, err
	}
	if cfg.Docs {
		f.docs = newDocs()
	}
	f.next = http.HandlerFunc(f.dispatch)
	if len(cfg.CORS.AllowedOrigins) > 0 {
		f.next = cors.New(cors.Options{
			AllowedOrigins: cfg.CORS.AllowedOrigins,
			AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete},
			AllowedHeaders: []string{"Authorization", "Content-Type", "Last-Event-Id", "Traceparent"},
			ExposedHeaders: []string{requestIDHeader, "Retry-After"},
			MaxAge:         int((10 * time.Minute).Seconds()),
		}).Handler(f.next)
	}
	return f, nil
}

// requestIDHeader carries the id of a request: that of its call, if there was one.
const requestIDHeader = "X-Request-Id"

// exchange is what is known of a request on its way.
type exchange struct {
	requestID string
	route     string // its template; empty for requests that have none
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{}
}

// ServeHTTP bounds the writing, gives the request an id and survives panics.
func (f *front) ServeHTTP(bare http.ResponseWriter, r *http.Request) {
	x := &exchange{requestID: rand.Text()}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	w := newWriter(bare, f.set.SendTimeout)
	defer func() {
		if v := recover(); v != nil {
			f.set.Logger.Error("request failed", slog.String("request_id", x.requestID), slog.String("route", x.route),
				slog.String("err", fmt.Sprintf("panic: %v\n%s", v, debug.Stack())))
			f.afterPanic(w, r)
		}
		w.finish(r.ProtoMajor)
		f.set.Metrics.Requests.WithLabelValues(x.route, strconv.Itoa(w.code())).Inc()
	}()
	header := w.Header()
	header.Set(requestIDHeader, x.requestID)
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	f.next.ServeHTTP(w, r)
}

// afterPanic answers if nothing was answered yet, and cuts the connection otherwise: the client must not take what it
// has for the whole.
func (f *front) afterPanic(w *writer, r *http.Request) {
	if w.status == 0 {
		f.fail(w, r, errInternal)
		return
	}
	panic(http.ErrAbortHandler)
}

func (f *front) dispatch(w http.ResponseWriter, r *http.Request) {
	if !utf8.ValidString(r.URL.Path) {
		f.fail(w, r, errPath)
		return
	}
	if f.docs != nil && f.docs.serves(r.URL.Path) {
		exchangeOf(r.Context()).route = "docs"
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			f.fail(w, r, errVerb)
			return
		}
		f.docs.ServeHTTP(w, r)
		return
	}
	// The generated code would send them on, in front of the address that is known.
	r.Header.Del("X-Forwarded-For")
	r.Header.Del("X-Forwarded-Host")
	f.mux.ServeHTTP(w, r)
}

// passes names the headers that become metadata. The token passes beside it; nothing else does.
func passes(header string) (string, bool) {
	switch header {
	case "Traceparent", "Tracestate":
		return strings.ToLower(header), true
	default:
		return "", false
	}
}

const maxUserAgent = 256

// aboutClient is the metadata that the gRPC server believes, as it comes from inside the process.
func aboutClient(_ context.Context, r *http.Request) metadata.MD {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return metadata.Pairs(
		grpcserver.ClientAddressKey, host,
		grpcserver.UserAgentKey, printable(r.UserAgent()),
	)
}

// printable returns the beginning of a header as metadata may be.
func printable(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text)
	return text[:min(len(text), maxUserAgent)]
}

// answerRequestID makes the id in the answer that of the gRPC server's log, if that has one of its own.
func answerRequestID(ctx context.Context, w http.ResponseWriter, _ proto.Message) error {
	md, _ := runtime.ServerMetadataFromContext(ctx)
	setRequestID(w, md.HeaderMD)
	return nil
}

func setRequestID(w http.ResponseWriter, md metadata.MD) {
	if ids := md.Get(grpcserver.RequestIDKey); len(ids) > 0 {
		w.Header().Set(requestIDHeader, ids[0])
	}
}

// misrouted answers requests that no handler is there for.
func (f *front) misrouted(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, httpStatus int) {
	switch httpStatus {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", strings.Join(allowed(f.routes, r.URL.Path), ", "))
		f.fail(w, r, errVerb)
	case http.StatusBadRequest:
		f.fail(w, r, errPath)
	default:
		f.fail(w, r, errNoRoute)
	}
}

// fail answers with an error: a google.rpc.Status as JSON.
func (f *front) fail(w http.ResponseWriter, r *http.Request, err error) {
	st, httpStatus := statusOf(err, exchangeOf(r.Context()).requestID)
	header := w.Header()
	if info, ok := errorInfo(st); ok && info.GetMetadata()["request_id"] != "" {
		header.Set(requestIDHeader, info.GetMetadata()["request_id"])
	}
	if st.Code() == codes.Unauthenticated {
		header.Set("WWW-Authenticate", "Bearer")
	}
	for _, detail := range st.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			wait := retry.GetRetryDelay().AsDuration() + time.Second - 1
			header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
		}
	}
	text, err := f.json.Marshal(st.Proto())
	if err != nil {
		text = []byte(`{"code":13,"message":"something went wrong inside","details":[]}`)
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(httpStatus)
	_, _ = w.Write(text) // the client may be gone
}
