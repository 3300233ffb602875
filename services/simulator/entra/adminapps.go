package entra

import (
	"fmt"
	"net/http"

	"github.com/entraflow/entraflow/pkg/config"
)

func (s *Server) adminSecrets(r *http.Request) (int, any, error) {
	all, err := s.Secrets(r.PathValue("app"))
	return http.StatusOK, all, err
}

func (s *Server) adminAddSecret(r *http.Request) (int, any, error) {
	var body newSecret
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if body.Value == "" {
		return 0, nil, fmt.Errorf("%w: value must be set", errBadRequest)
	}
	id, err := s.AddSecret(r.PathValue("app"), SecretConfig{Value: config.NewSecret(body.Value), Expires: body.Expires})
	return http.StatusCreated, map[string]string{"key_id": id}, err
}

// allSecrets stands for a key id in paths.
const allSecrets = "all"

func (s *Server) adminExpireSecret(r *http.Request) (int, any, error) {
	key := r.PathValue("key")
	if key == allSecrets {
		key = ""
	}
	return http.StatusNoContent, nil, s.ExpireSecret(r.PathValue("app"), key)
}

func (s *Server) adminRemoveSecret(r *http.Request) (int, any, error) {
	return http.StatusNoContent, nil, s.RemoveSecret(r.PathValue("app"), r.PathValue("key"))
}

func (s *Server) adminSetGrant(r *http.Request) (int, any, error) {
	body := newGrant{Tenant: r.PathValue("tenant")}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, s.SetGrant(r.PathValue("app"), GrantConfig(body))
}

func (s *Server) adminChangeGrant(r *http.Request) (int, any, error) {
	var body struct {
		Consents   *[]string `json:"consents"`
		Disabled   *bool     `json:"disabled"`
		ForceError *int      `json:"force_error"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	app, tenantID := r.PathValue("app"), r.PathValue("tenant")
	if body.Consents != nil {
		if err := s.SetConsents(app, tenantID, *body.Consents); err != nil {
			return 0, nil, err
		}
	}
	if body.Disabled != nil {
		if err := s.SetDisabled(app, tenantID, *body.Disabled); err != nil {
			return 0, nil, err
		}
	}
	if body.ForceError != nil {
		return http.StatusNoContent, nil, s.ForceError(app, tenantID, *body.ForceError)
	}
	return http.StatusNoContent, nil, nil
}

func (s *Server) adminRemoveGrant(r *http.Request) (int, any, error) {
	return http.StatusNoContent, nil, s.RemoveGrant(r.PathValue("app"), r.PathValue("tenant"))
}

// throttleState is ThrottleConfig in JSON.
type throttleState struct {
	Mode  string  `json:"mode"`
	Scale float64 `json:"scale"`
}

func (s *Server) adminThrottle(*http.Request) (int, any, error) {
	return http.StatusOK, throttleState(s.Throttle()), nil
}

func (s *Server) adminSetThrottle(r *http.Request) (int, any, error) {
	body := throttleState(s.Throttle())
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, s.SetThrottle(ThrottleConfig(body))
}

func (s *Server) adminCounters(*http.Request) (int, any, error) {
	return http.StatusOK, s.Counters(), nil
}

func (s *Server) adminResetCounters(*http.Request) (int, any, error) {
	s.ResetCounters()
	return http.StatusNoContent, nil, nil
}

func (s *Server) adminFaults(*http.Request) (int, any, error) {
	return http.StatusOK, s.Faults(), nil
}

func (s *Server) adminInject(r *http.Request) (int, any, error) {
	var f Fault
	if err := decode(r, &f); err != nil {
		return 0, nil, err
	}
	id, err := s.InjectFault(f)
	return http.StatusCreated, map[string]string{"id": id}, err
}

func (s *Server) adminClear(r *http.Request) (int, any, error) {
	return http.StatusNoContent, nil, s.ClearFault(r.PathValue("id"))
}
