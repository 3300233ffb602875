// Package failure holds the errors of the gateway's methods that say more than a code: they are what a
// client reads, and never contain inner text.
package failure

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/protoadapt"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

// InvalidError is the error of a request with a field that breaks a rule its proto file cannot state.
type InvalidError struct {
	grpcserver.Shown
	field, description string
}

// NewInvalid returns the error for the field, by its path in the request ("filter.ip"). The
// description goes on after the field's name: "must be an address".
func NewInvalid(field, description string) *InvalidError {
	return &InvalidError{
		Shown: grpcserver.NewError(codes.InvalidArgument, "REQUEST_INVALID",
			field+": "+description, "correct the field "+field),
		field: field, description: description,
	}
}

// Details names the field in the form that clients of gRPC know.
func (e *InvalidError) Details() []protoadapt.MessageV1 {
	return []protoadapt.MessageV1{&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: e.field, Description: e.description}},
	}}
}
