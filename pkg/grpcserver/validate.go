package grpcserver

import (
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// invalidError is the Shown error of a request that breaks the rules in its proto file.
type invalidError struct {
	Shown
	violations *errdetails.BadRequest
}

// Details names the fields.
func (e *invalidError) Details() []protoadapt.MessageV1 { return []protoadapt.MessageV1{e.violations} }

func newInvalidError(broken []*protovalidate.Violation) *invalidError {
	violations := &errdetails.BadRequest{}
	for _, v := range broken {
		violations.FieldViolations = append(violations.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field:       protovalidate.FieldPathString(v.Proto.GetField()),
			Description: v.Proto.GetMessage(),
			Reason:      v.Proto.GetRuleId(),
		})
	}
	return &invalidError{
		Shown: NewError(codes.InvalidArgument, "REQUEST_INVALID",
			"the request is not valid", "correct the fields in the BadRequest detail"),
		violations: violations,
	}
}

// validate checks a request against the rules in its proto file.
func (s *Server) validate(request any) error {
	message, ok := request.(proto.Message)
	if !ok {
		return fmt.Errorf("validating a %T: not a proto message", request)
	}
	err := s.validator.Validate(message)
	if invalid, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		return newInvalidError(invalid.Violations)
	}
	if err != nil {
		return fmt.Errorf("validating a %s: %w", message.ProtoReflect().Descriptor().FullName(), err)
	}
	return nil
}
