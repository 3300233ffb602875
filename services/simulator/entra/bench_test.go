package entra_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct {
	header http.Header
	bytes  int64
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(b []byte) (int, error) {
	d.bytes += int64(len(b))
	return len(b), nil
}

// BenchmarkSignIns serves pages of 1,000 sign-ins through the handler: generation, checks and writing.
func BenchmarkSignIns(b *testing.B) {
	cfg := entra.DefaultConfig()
	cfg.Throttle.Mode = "off"
	one := smallTenant()
	one.Users, one.End = 5000, time.Now()
	cfg.Tenants = []entra.TenantConfig{one}
	cfg.Apps = []entra.AppConfig{{
		ClientID: clientID, Secrets: []entra.SecretConfig{{Value: config.NewSecret(password)}},
		Grants: []entra.GrantConfig{{Tenant: tenantID, Consents: entra.ReadPermissions()}},
	}}
	s, err := entra.New(cfg, entra.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	token, err := s.Token(tenantID, clientID)
	if err != nil {
		b.Fatal(err)
	}
	for name, encoding := range map[string]string{"plain": "identity", "gzip": "gzip"} {
		for prefer, value := range map[string]string{"all": "include-unknown-enum-members", "known": ""} {
			b.Run(name+"/"+prefer, func(b *testing.B) {
				r := httptest.NewRequest(http.MethodGet, "/beta/auditLogs/signIns?$filter=signInEventTypes/any(t:%20t%20eq%20%27nonInteractiveUser%27)", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("Accept-Encoding", encoding)
				r.Header.Set("Prefer", value)
				w := &discard{header: http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					s.ServeHTTP(w, r)
				}
				b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "records/s")
				b.SetBytes(w.bytes / int64(b.N))
			})
		}
	}
}
