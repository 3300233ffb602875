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

// maxHelp bounds how many links of an error are shown.
const maxHelp = 3

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
	answer, at := s.GRPCStatus(), t.at
	if at == nil {
		at = &place{}
	}
	d := detailsOf(answer)
	message := clean(answer.Message())
	switch code := answer.Code(); {
	case d.info.GetDomain() == ownDomain:
		return errors.New(cleanLines(answer.Message()))
	case code == codes.Unauthenticated:
		return errors.New(at.rejected(d.reason()) + d.help())
	case code == codes.PermissionDenied:
		return errors.New(d.fields() + message + d.reason() + d.remedy() + d.role() + d.help())
	case code == codes.Unavailable && !d.ours():
		return fmt.Errorf("cannot reach the gateway at %s: %s\n"+
			"Is it running? `entraflow up` prints where it listens; tell entractl with --server or %s",
			at.Server, message, envServer)
	case code == codes.DeadlineExceeded && !d.ours():
		return fmt.Errorf("the gateway at %s did not answer in time", at.Server)
	case code == codes.Unimplemented && (!d.ours() || d.info.GetReason() == "METHOD_UNKNOWN" || d.info.GetReason() == "UNIMPLEMENTED"):
		return fmt.Errorf("the gateway at %s does not know this call: it may be older than entractl", at.Server)
	case code == codes.ResourceExhausted && !d.ours():
		return fmt.Errorf("the answer is too large: %s\nAsk for less with --limit", message)
	default:
		return errors.New(d.fields() + message + d.reason() + d.remedy() + d.help())
	}
}

// rejected says what to do about a credential that the gateway does not take.
func (p *place) rejected(reason string) string {
	switch p.method {
	case byAPIToken:
		return fmt.Sprintf("the gateway at %s rejected the API token of context %s: it has ended, was revoked, or is another gateway's%s\n"+
			"Store another with `entractl login --context %s --with-token`", p.Server, p.Name, reason, p.Name)
	case byOIDC:
		return fmt.Sprintf("the gateway at %s rejected the login of context %s at %s%s\n"+
			"Sign in again with `entractl login --context %s`. If that does not help, the gateway does not take tokens of this issuer\n"+
			"and audience: its configuration says which", p.Server, p.Name, p.OIDC.Issuer, reason, p.Name)
	case byCertificate:
		return fmt.Sprintf("the gateway at %s rejected the certificate in %s, or takes none%s\n"+
			"Name a token as well with --token-file, or sign in with `entractl login`", p.Server, p.CertificateFile, reason)
	default:
		return fmt.Sprintf("the gateway at %s rejected the token in %s%s\n"+
			"Is it this gateway's? `entraflow up` keeps its own in its data folder, under credentials/gateway.token;\n"+
			"to another gateway sign in with `entractl login`", p.Server, p.TokenFile, reason)
	}
}

// details are what a gateway says of an error beside its message.
type details struct {
	code codes.Code
	info *errdetails.ErrorInfo // nil: it was not the gateway that answered
	bad  []*errdetails.BadRequest_FieldViolation
	link []*errdetails.Help_Link
}

func detailsOf(answer *status.Status) details {
	d := details{code: answer.Code()}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			d.info = detail
		case *errdetails.BadRequest:
			d.bad = append(d.bad, detail.GetFieldViolations()...)
		case *errdetails.Help:
			d.link = append(d.link, detail.GetLinks()...)
		}
	}
	return d
}

// isStarting reports whether an error says that who would answer has not begun yet.
func isStarting(err error) bool {
	const reason = "COLLECTOR_UNAVAILABLE"
	answer, ok := status.FromError(err)
	return ok && detailsOf(answer).info.GetReason() == reason
}

func (d details) ours() bool { return d.info != nil }

// fields are the fields that the gateway found wrong, one a line.
func (d details) fields() string {
	var b strings.Builder
	for _, v := range d.bad {
		fmt.Fprintf(&b, "%s: %s\n", clean(v.GetField()), clean(v.GetDescription()))
	}
	return b.String()
}

// reason is the constant that programs and the documentation know the error by, and of faults of the gateway's own what
// finds them in its log.
func (d details) reason() string {
	reason, request := clean(d.info.GetReason()), clean(d.info.GetMetadata()["request_id"])
	switch {
	case reason == "":
		return ""
	case request == "" || d.code != codes.Internal && d.code != codes.Unknown && d.code != codes.Unavailable:
		return " (" + reason + ")"
	default:
		return " (" + reason + ", request " + request + ")"
	}
}

func (d details) remedy() string {
	if text := d.info.GetMetadata()["remedy"]; text != "" {
		return "\nWhat helps: " + clean(text)
	}
	return ""
}

// role says which role would be let in.
func (d details) role() string {
	if role := d.info.GetMetadata()["required_role"]; role != "" {
		return "\nIt needs the role " + clean(role) + "; `entractl whoami` says which you have"
	}
	return "\n`entractl whoami` says what you may"
}

func (d details) help() string {
	var b strings.Builder
	for n, link := range d.link {
		if n == maxHelp {
			break
		}
		b.WriteString("\nSee: " + clean(link.GetUrl()))
		if text := clean(link.GetDescription()); text != "" {
			b.WriteString(" (" + text + ")")
		}
	}
	return b.String()
}
