package entra

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/entra/login"
	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// AdminPrefix is where AdminHandler's routes are.
const AdminPrefix = "/v1/entra/"

// errBadRequest says that a request cannot be understood.
var errBadRequest = errors.New("bad request")

// AdminHandler is the changes of Server as HTTP and JSON under AdminPrefix. It asks for no credentials: whoever mounts
// it does, and bounds bodies. It returns no secret.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	routes := s.directoryRoutes()
	maps.Copy(routes, s.peopleRoutes())
	maps.Copy(routes, map[string]func(*http.Request) (int, any, error){
		"GET /v1/entra/tenants":                          s.adminTenants,
		"POST /v1/entra/tenants":                         s.adminAddTenant,
		"PATCH /v1/entra/tenants/{tenant}":               s.adminChangeTenant,
		"GET /v1/entra/tenants/{tenant}/truth":           s.adminTruth,
		"GET /v1/entra/apps":                             s.adminApps,
		"POST /v1/entra/apps":                            s.adminAddApp,
		"GET /v1/entra/apps/{app}/secrets":               s.adminSecrets,
		"POST /v1/entra/apps/{app}/secrets":              s.adminAddSecret,
		"POST /v1/entra/apps/{app}/secrets/{key}/expire": s.adminExpireSecret,
		"DELETE /v1/entra/apps/{app}/secrets/{key}":      s.adminRemoveSecret,
		"PUT /v1/entra/apps/{app}/grants/{tenant}":       s.adminSetGrant,
		"PATCH /v1/entra/apps/{app}/grants/{tenant}":     s.adminChangeGrant,
		"DELETE /v1/entra/apps/{app}/grants/{tenant}":    s.adminRemoveGrant,
		"POST /v1/entra/issuers":                         s.adminAddIssuer,
		"GET /v1/entra/throttle":                         s.adminThrottle,
		"PUT /v1/entra/throttle":                         s.adminSetThrottle,
		"GET /v1/entra/counters":                         s.adminCounters,
		"DELETE /v1/entra/counters":                      s.adminResetCounters,
		"GET /v1/entra/faults":                           s.adminFaults,
		"POST /v1/entra/faults":                          s.adminInject,
		"DELETE /v1/entra/faults":                        s.adminClear,
		"DELETE /v1/entra/faults/{id}":                   s.adminClear,
	})
	for pattern, handle := range routes {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			status, body, err := handle(r)
			answer(w, status, body, err)
		})
	}
	mux.HandleFunc("GET /v1/entra/tenants/{tenant}/truth/{collection...}", func(w http.ResponseWriter, r *http.Request) {
		if err := s.adminObjects(w, r); err != nil {
			answer(w, 0, nil, err)
		}
	})
	return mux
}

// answer writes a body, or what was wrong.
func answer(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		status, body = adminStatus(err), map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body) // the client is gone
	}
}

func adminStatus(err error) int {
	var tooLarge *http.MaxBytesError
	var invalid *config.InvalidError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNoFault), errors.Is(err, directory.ErrNotFound), errors.Is(err, ErrNobody):
		return http.StatusNotFound
	case errors.Is(err, ErrExists):
		return http.StatusConflict
	case errors.Is(err, errBadRequest), errors.Is(err, directory.ErrBad), errors.Is(err, ErrBadFault), errors.Is(err, login.ErrIssuer), errors.As(err, &invalid):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// decode reads a body; an empty one leaves into as it is.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", errBadRequest, err)
	}
	return nil
}

type tenantState struct {
	ID          string         `json:"id"`
	Domains     []string       `json:"domains,omitempty"`
	Licence     tenant.Licence `json:"licence"`
	LicenceTrap bool           `json:"licence_trap"`
	OtherCloud  bool           `json:"other_cloud"`
	Users       int            `json:"users"`
	Days        int            `json:"days"`
	Seed        uint64         `json:"seed"`
	End         time.Time      `json:"end"`
}

func (s *Server) adminTenants(*http.Request) (int, any, error) {
	all := []tenantState{}
	for _, t := range s.state.Tenants() {
		cfg := t.Source.Config()
		all = append(all, tenantState{
			ID: t.ID(), Domains: t.Domains, Licence: cfg.Licence, LicenceTrap: t.LicenceTrap, OtherCloud: t.OtherCloud,
			Users: cfg.Users, Days: cfg.Days, Seed: cfg.Seed, End: cfg.End,
		})
	}
	return http.StatusOK, all, nil
}

// newTenant is a tenant in JSON; what is absent is tenant.DefaultConfig's.
type newTenant struct {
	ID          string            `json:"id"`
	Seed        uint64            `json:"seed"`
	Users       int               `json:"users"`
	Days        int               `json:"days"`
	End         time.Time         `json:"end"`
	Licence     tenant.Licence    `json:"licence"`
	Intune      bool              `json:"intune"`
	Scale       float64           `json:"scale"`
	Counts      map[string]uint64 `json:"counts"`
	Incidents   bool              `json:"incidents"`
	LateShare   float64           `json:"late_share"`
	LateMaxMS   int64             `json:"late_max_ms"`
	Changing    float64           `json:"changing"`
	Domains     []string          `json:"domains"`
	OtherCloud  bool              `json:"other_cloud"`
	LicenceTrap bool              `json:"licence_trap"`
	Groups      int               `json:"groups"`
	Members     int               `json:"members_per_group"`
	Huge        int               `json:"huge_group_members"`
	Devices     int               `json:"devices_per_user"`
	ChangeRate  float64           `json:"change_rate"`
	ChangeSeed  uint64            `json:"change_seed"`
}

func (s *Server) adminAddTenant(r *http.Request) (int, any, error) {
	d := tenant.DefaultConfig()
	body := newTenant{
		Users: d.Users, Days: d.Days, Licence: d.Licence, Intune: d.Intune, Scale: d.Scale, Incidents: d.Incidents,
		LateShare: d.Late.Share, LateMaxMS: d.Late.Max.Milliseconds(), Changing: d.Late.Changing, Devices: d.DevicesPerUser,
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	d.ID, d.Seed, d.Users, d.Days, d.End, d.Licence = body.ID, body.Seed, body.Users, body.Days, body.End, body.Licence
	d.Intune, d.Scale, d.Counts, d.Incidents = body.Intune, body.Scale, body.Counts, body.Incidents
	d.Late = tenant.Late{Share: body.LateShare, Max: time.Duration(body.LateMaxMS) * time.Millisecond, Changing: body.Changing}
	d.Groups, d.MembersPerGroup, d.HugeGroupMembers, d.DevicesPerUser = body.Groups, body.Members, body.Huge, body.Devices
	id, err := s.AddTenant(TenantConfig{
		Config: d, Domains: body.Domains, OtherCloud: body.OtherCloud, LicenceTrap: body.LicenceTrap,
		Changes: state.ChangesConfig{Rate: body.ChangeRate, Seed: body.ChangeSeed},
	})
	return http.StatusCreated, map[string]string{"id": id}, err
}

func (s *Server) adminChangeTenant(r *http.Request) (int, any, error) {
	var body struct {
		Licence     *tenant.Licence `json:"licence"`
		LicenceTrap *bool           `json:"licence_trap"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	id := r.PathValue("tenant")
	if body.Licence != nil {
		if err := s.SetLicence(id, *body.Licence); err != nil {
			return 0, nil, err
		}
	}
	if body.LicenceTrap != nil {
		return http.StatusNoContent, nil, s.SetLicenceTrap(id, *body.LicenceTrap)
	}
	return http.StatusNoContent, nil, nil
}

// adminTruth counts the distinct ids of each log; from, to and at are RFC 3339, at being now if it is absent.
func (s *Server) adminTruth(r *http.Request) (int, any, error) {
	source, err := s.Tenant(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	q := tenant.Query{At: s.clock.Now()}
	for name, to := range map[string]*time.Time{"from": &q.From, "to": &q.To, "at": &q.At} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %s is no time", errBadRequest, name)
		}
		*to = at
	}
	return http.StatusOK, source.Truth(q), nil
}

type appState struct {
	ClientID string       `json:"client_id"`
	Name     string       `json:"name,omitempty"`
	Secrets  []SecretInfo `json:"secrets"`
}

func (s *Server) adminApps(*http.Request) (int, any, error) {
	all := []appState{}
	for _, a := range s.state.Apps() {
		all = append(all, appState{ClientID: a.ClientID, Name: a.Name, Secrets: a.Secrets()})
	}
	return http.StatusOK, all, nil
}

type newSecret struct {
	Value   string    `json:"value"`
	Expires time.Time `json:"expires"`
}

type newGrant struct {
	Tenant     string   `json:"tenant"`
	Consents   []string `json:"consents"`
	Disabled   bool     `json:"disabled"`
	ForceError int      `json:"force_error"`
}

func (s *Server) adminAddApp(r *http.Request) (int, any, error) {
	var body struct {
		ClientID     string            `json:"client_id"`
		Name         string            `json:"name"`
		Secrets      []newSecret       `json:"secrets"`
		Certificates []string          `json:"certificates"`
		Federated    []FederatedConfig `json:"federated"`
		SubjectNames []string          `json:"subject_names"`
		Grants       []newGrant        `json:"grants"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	cfg := AppConfig{ClientID: body.ClientID, Name: body.Name, Federated: body.Federated, SubjectNames: body.SubjectNames}
	for _, one := range body.Secrets {
		cfg.Secrets = append(cfg.Secrets, SecretConfig{Value: config.NewSecret(one.Value), Expires: one.Expires})
	}
	for _, text := range body.Certificates {
		cfg.Certificates = append(cfg.Certificates, CertificateConfig{PEM: text})
	}
	for i := range cfg.Federated {
		if cfg.Federated[i].Audience == "" {
			cfg.Federated[i].SetDefaults()
		}
	}
	for _, g := range body.Grants {
		cfg.Grants = append(cfg.Grants, GrantConfig(g))
	}
	return http.StatusCreated, map[string]string{"client_id": cfg.ClientID}, s.AddApp(cfg)
}

func (s *Server) adminAddIssuer(r *http.Request) (int, any, error) {
	var body struct {
		Issuer string `json:"issuer"`
		PEM    string `json:"pem"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if err := s.AddIssuer(state.IssuerConfig{Issuer: body.Issuer, PEM: body.PEM}); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	return http.StatusCreated, nil, nil
}
