package entra_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/entra/internal/fake"
)

// recorder is a Budget that lets everything through.
type recorder struct {
	mu     sync.Mutex
	asked  []budget.Request
	pauses []time.Duration
}

func (r *recorder) Acquire(_ context.Context, q budget.Request) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, q)
	return nil
}

func (r *recorder) Throttled(_ budget.Request, pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pauses = append(r.pauses, pause)
}

// answers gives each answer once, the last for ever.
func answers(all ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		all[min(int(n.Add(1)), len(all))-1](w, r)
	}
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(text))
	}
}

func after(value string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", value)
		next(w, r)
	}
}

func html(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<html><body>Bad Gateway</body></html>"))
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = w.Write([]byte(`{"value":[`))
}

func TestGetTriesAgain(t *testing.T) {
	good := body(`{"value":[]}`)
	cases := map[string]struct {
		first  http.HandlerFunc
		pauses int
		least  time.Duration
		most   time.Duration
	}{
		"429, seconds":      {after("7", fake.Fail("TooManyRequests", 429)), 1, 7 * time.Second, 7 * time.Second},
		"429, fraction":     {after("1.5", fake.Fail("TooManyRequests", 429)), 1, 1500 * time.Millisecond, 1500 * time.Millisecond},
		"429, date":         {after(time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat), fake.Fail("TooManyRequests", 429)), 1, 80 * time.Second, 91 * time.Second},
		"429, too long":     {after("100000", fake.Fail("TooManyRequests", 429)), 1, 5 * time.Minute, 5 * time.Minute},
		"429, nothing said": {fake.Fail("TooManyRequests", 429), 1, 500 * time.Millisecond, time.Second + 1},
		"429, html":         {html(429), 1, 500 * time.Millisecond, time.Second + 1},
		"500":               {fake.Fail("UnknownError", 500), 0, 0, 0},
		"502, html":         {html(502), 0, 0, 0},
		"503":               {fake.Fail("ServiceUnavailable", 503), 0, 0, 0},
		"504":               {fake.Fail("UnknownError", 504), 0, 0, 0},
		"200, html":         {html(200), 0, 0, 0},
		"cut off":           {hangUp, 0, 0, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := &recorder{}
			w := newWorld(t, func(set *entra.ClientSettings) { set.Budget = b })
			w.server.Graph = answers(tc.first, good)
			resp, err := w.client.Get(t.Context(), entra.Request{Path: "/v1.0/users", Class: budget.Tail, Units: 2})
			require.NoError(t, err)
			require.JSONEq(t, `{"value":[]}`, string(resp.Body))
			require.Equal(t, http.StatusOK, resp.Status)
			require.WithinDuration(t, time.Now(), resp.Date, time.Minute)
			want := budget.Request{TenantID: fake.Tenant, AppID: fake.App, Class: budget.Tail, Units: 2}
			require.Empty(t, cmp.Diff([]budget.Request{want, want}, b.asked))
			require.Len(t, b.pauses, tc.pauses)
			for _, pause := range b.pauses {
				require.GreaterOrEqual(t, pause, tc.least)
				require.LessOrEqual(t, pause, tc.most)
			}
		})
	}
}

func TestGetGivesUp(t *testing.T) {
	cases := map[string]struct {
		answer   http.HandlerFunc
		attempts int
		timeout  bool
	}{
		"throttled": {fake.Fail("TooManyRequests", 429), 6, false},
		"503":       {fake.Fail("ServiceUnavailable", 503), 6, false},
		// The caller asks for less.
		"504": {fake.Fail("UnknownError", 504), 2, true},
		"400": {fake.Fail("BadRequest", 400), 1, false},
		"403": {fake.Fail("Authorization_RequestDenied", 403), 1, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := &recorder{}
			w := newWorld(t, func(set *entra.ClientSettings) { set.Budget = b })
			w.server.Graph = tc.answer
			fault := w.fault(t, users)
			require.Len(t, b.asked, tc.attempts)
			require.Equal(t, tc.timeout, fault.Timeout())
		})
	}
}

func TestGetEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	w.server.Graph = after("200", fake.Fail("TooManyRequests", 429))
	// Nobody waits for an attempt that would begin after the deadline.
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	_, err := w.client.Get(ctx, users)
	require.Equal(t, entra.CauseThrottled, entra.Classify(err).Cause)
	require.Equal(t, 200*time.Second, entra.Classify(err).RetryAfter)

	cancelled, stop := context.WithCancel(t.Context())
	stop()
	_, err = w.client.Get(cancelled, users)
	require.ErrorIs(t, err, context.Canceled)
}

func TestARequestTakesTooLong(t *testing.T) {
	w := newWorld(t)
	w.server.Graph = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	request := users
	request.Timeout = 50 * time.Millisecond
	fault := w.fault(t, request)
	require.Equal(t, entra.CauseNetworkTimeout, fault.Cause)
	require.True(t, fault.Timeout())
}

func TestA401IsTriedOnceWithAFreshToken(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	tokens := map[string]bool{}
	w.server.Graph = func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		tokens[r.Header.Get("Authorization")] = true
		n := len(tokens)
		mu.Unlock()
		if n == 1 {
			fake.Fail("InvalidAuthenticationToken", 401)(rw, r)
			return
		}
		body(`{}`)(rw, r)
	}
	_, err := w.client.Get(t.Context(), users)
	require.NoError(t, err)
	n, _ := w.server.Tokens()
	require.Equal(t, 2, n)

	w.server.Graph = fake.Fail("InvalidAuthenticationToken", 401)
	require.Equal(t, entra.CauseTokenRejected, w.fault(t, users).Cause)
	n, _ = w.server.Tokens()
	require.Equal(t, 3, n)
}

func TestOneTokenServesManyRequests(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		_, err := w.client.Get(t.Context(), users)
		require.NoError(t, err)
	}
	n, forms := w.server.Tokens()
	require.Equal(t, 1, n)
	require.NotContains(t, forms[0], "claims", "continuous access evaluation is off")
	require.Contains(t, forms[0]["scope"][0], w.server.URL+"/.default")
}

func TestTheTokenGoesToGraphOnly(t *testing.T) {
	var leaked atomic.Int64
	w := newWorld(t)
	other := fake.New(t)
	other.Graph = func(http.ResponseWriter, *http.Request) { leaked.Add(1) }
	host := strings.TrimPrefix(w.server.URL, "https://")
	for _, link := range []string{
		other.URL + "/v1.0/users", "http://" + host + "/v1.0/users", "https://user@" + host + "/v1.0/users",
		"https://" + host + ".evil.invalid/", "https://graph.microsoft.com/v1.0/users", "//" + host + "/x", "::", "/v1.0/users",
	} {
		require.Equal(t, entra.CauseForeignHost, w.fault(t, entra.Request{URL: link}).Cause, link)
	}
	for _, path := range []string{"//evil.invalid/x", "v1.0/users", ""} {
		require.Equal(t, entra.CauseBadRequest, w.fault(t, entra.Request{Path: path}).Cause, path)
	}
	w.server.Graph = func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, other.URL+"/v1.0/users", http.StatusFound)
	}
	require.Equal(t, entra.CauseGatewayHTML, w.fault(t, users).Cause)
	require.Zero(t, leaked.Load())
}

func TestHeadersAndQuery(t *testing.T) {
	w := newWorld(t, func(set *entra.ClientSettings) { set.UserAgent = "entraflow/1" })
	var got *http.Request
	w.server.Graph = func(rw http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.WithoutCancel(r.Context()))
		rw.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(rw)
		_, _ = z.Write([]byte(`{"value":[1]}`))
		_ = z.Close()
	}
	header := http.Header{"Prefer": {"x"}, "Authorization": {"Bearer mine"}, "Accept-Encoding": {"br"}}
	resp, err := w.client.Get(t.Context(), entra.Request{
		Path: "/v1.0/a b", Header: header, Query: url.Values{"$filter": {"x ge 2026-01-01T00:00:00Z and y eq 'a+b'"}},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"value":[1]}`, string(resp.Body))
	require.Equal(t, "/v1.0/a%20b?$filter=x%20ge%202026-01-01T00%3A00%3A00Z%20and%20y%20eq%20%27a%2Bb%27", got.URL.RequestURI())
	require.Equal(t, "x", got.Header.Get("Prefer"))
	require.Equal(t, "gzip", got.Header.Get("Accept-Encoding"))
	require.Equal(t, "entraflow/1", got.Header.Get("User-Agent"))
	require.NotEqual(t, "Bearer mine", got.Header.Get("Authorization"))
	require.Equal(t, []string{"Bearer mine"}, header["Authorization"], "the caller's header is its own")
}

func TestABodyHasABound(t *testing.T) {
	w := newWorld(t, func(set *entra.ClientSettings) { set.MaxBody = 1000 })
	w.server.Graph = body(`{"value":"` + strings.Repeat("x", 1000-12) + `"}`)
	_, err := w.client.Get(t.Context(), users)
	require.NoError(t, err)
	w.server.Graph = body(`{"value":"` + strings.Repeat("x", 1000-11) + `"}`)
	require.Equal(t, entra.CauseResponseTooLarge, w.fault(t, users).Cause)
	// A bomb of zeros is unpacked no further than the bound.
	w.server.Graph = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(rw)
		_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<22))
		_ = z.Close()
	}
	require.Equal(t, entra.CauseResponseTooLarge, w.fault(t, users).Cause)
}

func TestClaims(t *testing.T) {
	w := newWorld(t)
	w.server.Roles = []string{"User.Read.All", "AuditLog.Read.All"}
	claims, err := w.client.Claims(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"AuditLog.Read.All", "User.Read.All"}, claims.Roles)
	require.Equal(t, fake.Tenant, claims.TenantID)
	require.Equal(t, fake.App, claims.AppID)
	require.True(t, claims.Has("x", "User.Read.All"))
	require.False(t, claims.Has("x"))
	for _, opaque := range []string{"", "a.b", "a.!.c", "a.e30x.c"} {
		_, ok := entra.DecodeClaims(opaque)
		require.False(t, ok, opaque)
	}
}

func collect(ctx context.Context, w *world, r entra.Request) (values []string, pages int, err error) {
	for page, fault := range w.client.Pages(ctx, r) {
		if fault != nil {
			return values, pages, fault
		}
		pages++
		for _, v := range page.Value {
			values = append(values, string(v))
		}
	}
	return values, pages, nil
}

func TestPagesFollowLinksToTheEnd(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.server.Graph = func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI()+" "+r.Header.Get("Prefer"))
		n, _ := strconv.Atoi(r.URL.Query().Get("$skiptoken"))
		values := []string{`{"id":"a"}, {"id":"b\"]"}`, ``, ``, `{"id":"c"}`}
		link := ""
		if n < len(values)-1 {
			link = fmt.Sprintf(`,"@odata.nextLink":"%s/v1.0/AuditLogs/signins?$skiptoken=%d&x=a+b"`, w.server.URL, n+1)
		}
		body(`{"@odata.context":"x","value":[`+values[n]+`]`+link+`}`)(rw, r)
	}
	got, pages, err := collect(t.Context(), w, entra.Request{
		Path: "/v1.0/auditLogs/signIns", Query: url.Values{"$top": {"2"}}, Header: http.Header{"Prefer": {"y"}},
	})
	require.NoError(t, err)
	require.Equal(t, 4, pages)
	require.Equal(t, []string{`{"id":"a"}`, `{"id":"b\"]"}`, `{"id":"c"}`}, got)
	require.Equal(t, []string{
		"/v1.0/auditLogs/signIns?$top=2 y", "/v1.0/AuditLogs/signins?$skiptoken=1&x=a+b y",
		"/v1.0/AuditLogs/signins?$skiptoken=2&x=a+b y", "/v1.0/AuditLogs/signins?$skiptoken=3&x=a+b y",
	}, asked)
}

func TestPagesEndBadly(t *testing.T) {
	w := newWorld(t, func(set *entra.ClientSettings) { set.MaxPages = 20 })
	link := func(to string) string { return `{"value":[1],"@odata.nextLink":"` + to + `"}` }
	n := 0
	cases := map[string]struct {
		answer http.HandlerFunc
		cause  entra.Cause
		pages  int
	}{
		"loop":    {body(link(w.server.URL + "/v1.0/users?$skiptoken=1")), entra.CauseLinkLoop, 2},
		"foreign": {body(link("https://graph.microsoft.com/v1.0/users")), entra.CauseForeignHost, 1},
		"endless": {func(rw http.ResponseWriter, r *http.Request) {
			n++
			body(link(fmt.Sprintf("%s/v1.0/users?$skiptoken=%d", w.server.URL, n)))(rw, r)
		}, entra.CauseLinkLoop, 20},
		"no page": {body(`[1]`), entra.CauseResponseInvalid, 0},
		"half":    {body(`{"value":[{"a":1},`), entra.CauseResponseInvalid, 0},
		"denied":  {fake.Fail("Authorization_RequestDenied", 403), entra.CauseConsentMissing, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.server.Graph = tc.answer
			_, pages, err := collect(t.Context(), w, users)
			require.Equal(t, tc.cause, entra.Classify(err).Cause)
			require.Equal(t, tc.pages, pages)
			w.clean(t, err)
		})
	}
}

func TestParsePage(t *testing.T) {
	sound := map[string]entra.Page{
		`{}`:               {},
		` {"value" : [ ]}`: {},
		"{\"value\":[1 ,\n\"x\",{\"a\":[]}],\"@odata.deltaLink\":\"https:\\/\\/d\"}": {
			Value: [][]byte{[]byte(`1`), []byte(`"x"`), []byte(`{"a":[]}`)}, DeltaLink: "https://d",
		},
		`{"@odata.nextLink":null,"other":{"value":[1]}}`: {},
	}
	for text, want := range sound {
		got, err := entra.ParsePage([]byte(text))
		require.NoError(t, err, text)
		want.Body = []byte(text)
		require.Empty(t, cmp.Diff(&want, got), text)
	}
	for _, text := range []string{
		``, `[]`, `{`, `{"value"}`, `{"value":1}`, `{"value":{}}`, `{"value":[1`, `{"value":[1 2]}`, `{"value":[1,]}`,
		`{"value":[]`, `{"a":1,}`, `{"a":1 "b":2}`, `{"@odata.nextLink":1}`, `{"value":[x]}`, `{"value":`,
	} {
		_, err := entra.ParsePage([]byte(text))
		require.Equal(t, entra.CauseResponseInvalid, entra.Classify(err).Cause, text)
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add([]byte(`{"value":[{"a":1}],"@odata.nextLink":"https://x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		page, err := entra.ParsePage(text)
		if err == nil && page == nil {
			t.Fatal("no page")
		}
	})
}

func BenchmarkParsePage(b *testing.B) {
	record := `{"id":"` + strings.Repeat("x", 36) + `","detail":{"text":"` + strings.Repeat("a long text ", 110) + `"}}`
	page := []byte(`{"value":[` + strings.Repeat(record+",", 999) + record + `]}`)
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		if _, err := entra.ParsePage(page); err != nil {
			b.Fatal(err)
		}
	}
}
