// Package signins answers SearchSignIns from the table sign_ins.
//
// It turns a SignInFilter into conditions, which is pure and whose SQL is constants of this package, and has package search
// find what they let through. It writes nothing.
package signins

import (
	"context"

	"google.golang.org/protobuf/proto"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
	"github.com/entraflow/entraflow/services/gateway/internal/search"
)

// Server is the SignInService.
type Server struct {
	controlv1.UnimplementedSignInServiceServer

	searcher *search.Searcher
}

// NewServer returns the SignInService.
func NewServer(searcher *search.Searcher) *Server { return &Server{searcher: searcher} }

// SearchSignIns returns a page of sign-ins, newest first.
func (s *Server) SearchSignIns(
	ctx context.Context, req *controlv1.SearchSignInsRequest,
) (*controlv1.SearchSignInsResponse, error) {
	tenants, err := caller.Tenants(ctx, req.GetFilter().GetTenantIds())
	if err != nil {
		return nil, err
	}
	wanted := &controlv1.SignInFilter{}
	proto.Merge(wanted, req.GetFilter())
	wanted.TenantIds = tenants
	compiled, err := compile(wanted)
	if err != nil {
		return nil, err
	}
	found, next, err := s.searcher.Find(ctx, compiled, search.Page{
		Size: req.GetPageSize(), Token: req.GetPageToken(), IncludeRaw: req.GetIncludeRaw(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.SearchSignInsResponse{SignIns: found, NextPageToken: next}, nil
}
