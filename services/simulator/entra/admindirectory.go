package entra

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Directory is a tenant's directory: what it holds, and the changes made to it.
type Directory = directory.Directory

// Directory returns a tenant's directory, with the scheduled changes made that are due. Its error is ErrNotFound.
func (s *Server) Directory(tenantID string) (*Directory, error) {
	t, err := s.state.Tenant(tenantID)
	if err != nil {
		return nil, err
	}
	t.Directory.Advance(s.clock.Now())
	return t.Directory, nil
}

// maxChanges bounds the changes that one request asks for.
const maxChanges = 1_000_000

func (s *Server) directoryRoutes() map[string]func(*http.Request) (int, any, error) {
	const root, object = " /v1/entra/tenants/{tenant}/directory", "/{collection}/{id}"
	return map[string]func(*http.Request) (int, any, error){
		"GET" + root:                                  s.adminDirectory,
		"POST" + root + "/changes":                    s.adminChanges,
		"POST" + root + "/expire-tokens":              s.adminExpireTokens,
		"POST" + root + "/{collection}":               s.adminCreate,
		"PATCH" + root + object:                       s.adminUpdate,
		"DELETE" + root + object:                      s.adminDelete,
		"POST" + root + object + "/restore":           s.adminRestore,
		"PUT" + root + object + "/{relation}/{to}":    s.adminRelate,
		"DELETE" + root + object + "/{relation}/{to}": s.adminRelate,
	}
}

// adminDirectory counts objects and links.
func (s *Server) adminDirectory(r *http.Request) (int, any, error) {
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"sequence": d.Sequence(), "counts": d.Counts()}, nil
}

func (s *Server) adminChanges(r *http.Request) (int, any, error) {
	body := struct {
		Seed uint64 `json:"seed"`
		N    int    `json:"n"`
	}{N: 1}
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if body.N < 1 || body.N > maxChanges {
		return 0, nil, fmt.Errorf("%w: n must be between 1 and %d", errBadRequest, maxChanges)
	}
	made := d.Change(body.Seed, body.N, s.clock.Now())
	return http.StatusOK, map[string]any{"sequence": d.Sequence(), "changes": made}, nil
}

func (s *Server) adminExpireTokens(r *http.Request) (int, any, error) {
	var body struct {
		Collection tenant.Collection `json:"collection"`
		Gone       bool              `json:"gone"`
	}
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if body.Collection != "" && !slices.Contains(directory.Collections(), body.Collection) {
		return 0, nil, fmt.Errorf("%w: there is no collection %q", errBadRequest, body.Collection)
	}
	d.ExpireTokens(body.Collection, body.Gone)
	return http.StatusNoContent, nil, nil
}

func (s *Server) adminCreate(r *http.Request) (int, any, error) {
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	var properties map[string]json.RawMessage
	if err := decode(r, &properties); err != nil {
		return 0, nil, err
	}
	id, err := d.Create(tenant.Collection(r.PathValue("collection")), properties, s.clock.Now())
	return http.StatusCreated, map[string]string{"id": id}, err
}

func (s *Server) adminUpdate(r *http.Request) (int, any, error) {
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	var properties map[string]json.RawMessage
	if err := decode(r, &properties); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, d.Update(tenant.Collection(r.PathValue("collection")), r.PathValue("id"), properties)
}

func (s *Server) adminDelete(r *http.Request) (int, any, error) {
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	forGood, err := strconv.ParseBool(r.URL.Query().Get("for_good"))
	if err != nil && r.URL.Query().Has("for_good") {
		return 0, nil, fmt.Errorf("%w: for_good must be true or false", errBadRequest)
	}
	return http.StatusNoContent, nil, d.Delete(tenant.Collection(r.PathValue("collection")), r.PathValue("id"), forGood)
}

func (s *Server) adminRestore(r *http.Request) (int, any, error) {
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, d.Restore(tenant.Collection(r.PathValue("collection")), r.PathValue("id"))
}

func (s *Server) adminRelate(r *http.Request) (int, any, error) {
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, d.Relate(tenant.Collection(r.PathValue("collection")), r.PathValue("id"),
		tenant.Relation(r.PathValue("relation")), r.PathValue("to"), r.Method == http.MethodPut)
}

// adminObjects streams the truth of a collection as JSON lines.
func (s *Server) adminObjects(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Directory(r.PathValue("tenant"))
	if err != nil {
		return err
	}
	out := &lines{w: w}
	err = d.WriteTruth(out, tenant.Collection(r.PathValue("collection")), s.clock.Now())
	if err != nil && out.begun {
		panic(http.ErrAbortHandler) // the client is gone, or must see that the answer is not whole
	}
	return err
}

// lines is a body of JSON lines that begins with its first byte.
type lines struct {
	w     http.ResponseWriter
	begun bool
}

func (l *lines) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	return l.w.Write(b)
}
