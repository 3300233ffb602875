package entra

import (
	"fmt"
	"net/http"
	"time"
)

// peopleRoutes are those of people and of the keys that sign their tokens.
func (s *Server) peopleRoutes() map[string]func(*http.Request) (int, any, error) {
	return map[string]func(*http.Request) (int, any, error){
		"GET /v1/entra/people":                   s.adminPeople,
		"PATCH /v1/entra/people/{person}":        s.adminChangePerson,
		"GET /v1/entra/sign-ins":                 s.adminSignIns,
		"POST /v1/entra/sign-ins/{code}/approve": s.adminApprove,
		"POST /v1/entra/sign-ins/{code}/refuse":  s.adminRefuse,
		"POST /v1/entra/people/{person}/tokens":  s.adminIssue,
		"POST /v1/entra/signing-keys":            s.adminRotate,
		"GET /v1/entra/skew":                     s.adminSkew,
		"PUT /v1/entra/skew":                     s.adminSetSkew,
	}
}

func (s *Server) adminPeople(*http.Request) (int, any, error) { return http.StatusOK, s.People(), nil }

func (s *Server) adminChangePerson(r *http.Request) (int, any, error) {
	var body struct {
		Roles *[]string `json:"roles"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if body.Roles == nil {
		return 0, nil, fmt.Errorf("%w: roles must be set", errBadRequest)
	}
	return http.StatusNoContent, nil, s.SetRoles(r.PathValue("person"), *body.Roles)
}

func (s *Server) adminSignIns(*http.Request) (int, any, error) {
	return http.StatusOK, s.WaitingSignIns(), nil
}

func (s *Server) adminApprove(r *http.Request) (int, any, error) {
	var body struct {
		Username string `json:"username"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, s.ApproveSignIn(r.PathValue("code"), body.Username)
}

func (s *Server) adminRefuse(r *http.Request) (int, any, error) {
	return http.StatusNoContent, nil, s.RefuseSignIn(r.PathValue("code"))
}

func (s *Server) adminIssue(r *http.Request) (int, any, error) {
	ask := PersonToken{}
	if err := decode(r, &ask); err != nil {
		return 0, nil, err
	}
	ask.Username = r.PathValue("person")
	token, err := s.IssuePerson(ask)
	return http.StatusCreated, map[string]string{"access_token": token}, err
}

// adminRotate makes a key; keep_ms is how long those before it are told, a day if it is absent.
func (s *Server) adminRotate(r *http.Request) (int, any, error) {
	body := struct {
		KeepMS int64 `json:"keep_ms"`
	}{keepKeys.Milliseconds()}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, map[string]string{"kid": s.RotateKeys(time.Duration(body.KeepMS) * time.Millisecond)}, nil
}

type skewState struct {
	SkewMS int64 `json:"skew_ms"`
}

func (s *Server) adminSkew(*http.Request) (int, any, error) {
	return http.StatusOK, skewState{s.Skew().Milliseconds()}, nil
}

func (s *Server) adminSetSkew(r *http.Request) (int, any, error) {
	var body skewState
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	s.SetSkew(time.Duration(body.SkewMS) * time.Millisecond)
	return http.StatusNoContent, nil, nil
}
