package entractl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// explain turns the error of a call into what its user can act on.
func (t *target) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	var s interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &s) {
		return err
	}
	answer := s.GRPCStatus()
	info, ours := details(answer)
	switch {
	case answer.Code() == codes.Unauthenticated:
		return fmt.Errorf("the gateway at %s rejected the token in %s\n"+
			"Is it this gateway's? `entraflow up` keeps its own in its data folder, under credentials/gateway.token",
			t.server, t.tokenFile)
	case answer.Code() == codes.Unavailable && !ours:
		return fmt.Errorf("cannot reach the gateway at %s: %s\n"+
			"Is it running? `entraflow up` prints where it listens; tell entractl with --server or %s",
			t.server, clean(answer.Message()), envServer)
	case answer.Code() == codes.DeadlineExceeded && !ours:
		return fmt.Errorf("the gateway at %s did not answer in time", t.server)
	case answer.Code() == codes.ResourceExhausted && !ours:
		return fmt.Errorf("the answer is too large: %s\nAsk for less with --limit", clean(answer.Message()))
	default:
		return errors.New(info + clean(answer.Message()) + remedy(answer))
	}
}

// details returns the fields that the gateway found wrong, one a line, and whether it was the gateway
// that answered.
func details(answer *status.Status) (lines string, ours bool) {
	var b strings.Builder
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			ours = true
		case *errdetails.BadRequest:
			for _, v := range detail.GetFieldViolations() {
				fmt.Fprintf(&b, "%s: %s\n", clean(v.GetField()), clean(v.GetDescription()))
			}
		}
	}
	return b.String(), ours
}

func remedy(answer *status.Status) string {
	for _, detail := range answer.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetMetadata()["remedy"] != "" {
			return "\nWhat helps: " + clean(info.GetMetadata()["remedy"])
		}
	}
	return ""
}
