package rest

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

//go:embed gen/openapi.json
var openAPI []byte

const (
	openAPIPath = "/openapi.json"
	docsPath    = "/docs"
)

// docs serves the OpenAPI document and a page that shows it.
type docs struct {
	files  http.Handler
	page   []byte
	policy string
}

func newDocs() *docs {
	page := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: "Entraflow", SwaggerJSON: openAPIPath, BasePath: docsPath,
		// Nothing is sent anywhere, and models are shown.
		SettingsUI: map[string]string{"validatorUrl": "null", "defaultModelsExpandDepth": "0"},
	})
	made := &pageWriter{header: http.Header{}}
	page.ServeHTTP(made, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: docsPath + "/"}})
	return &docs{files: page, page: made.Bytes(), policy: policyOf(made.String())}
}

// pageWriter keeps what a handler writes.
type pageWriter struct {
	bytes.Buffer
	header http.Header
}

func (w *pageWriter) Header() http.Header { return w.header }
func (*pageWriter) WriteHeader(int)       {}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// policyOf allows a page its own scripts, and nothing from elsewhere.
func policyOf(page string) string {
	scripts := []string{"'self'"}
	for _, found := range inlineScript.FindAllStringSubmatch(page, -1) {
		hash := sha256.Sum256([]byte(found[1]))
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'")
	}
	return "default-src 'none'; script-src " + strings.Join(scripts, " ") + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// serves reports whether a path is of the documentation.
func (d *docs) serves(path string) bool {
	return path == openAPIPath || path == docsPath || strings.HasPrefix(path, docsPath+"/")
}

// ServeHTTP answers GET and HEAD.
func (d *docs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case openAPIPath:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPI) // the client may be gone
	case docsPath:
		http.Redirect(w, r, docsPath+"/", http.StatusMovedPermanently)
	case docsPath + "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", d.policy)
		_, _ = w.Write(d.page)
	default:
		d.files.ServeHTTP(w, r)
	}
}
