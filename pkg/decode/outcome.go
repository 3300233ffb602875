package decode

import "strings"

// Outcomes of a sign-in, as they stand in SignIn.outcome.
const (
	outcomeSuccess     = "success"
	outcomeFailure     = "failure"
	outcomeInterrupted = "interrupted"
)

// interrupts are the error codes of a sign-in that was asked for something more and may go on: a second
// factor, a new password, consent, a choice. Microsoft says that codes may change; a code that is not
// here and not 0 is a failure.
var interrupts = map[int64]struct{}{
	// The second factor was asked for, is to be registered, or an external control is to be passed.
	50072: {}, 50074: {}, 50076: {}, 50078: {}, 50079: {}, 50158: {}, 50203: {},
	// The password is right and must be changed first.
	50055: {}, 50144: {}, 50135: {}, 50142: {},
	// Consent is asked for.
	65001: {},
	// The user is asked something: stay signed in, confirm the application, register, choose an account.
	50140: {}, 50199: {}, 50125: {}, 50127: {}, 50129: {}, 50097: {}, 50187: {}, 50143: {},
	16000: {}, 16001: {}, 16002: {}, 160021: {}, 16003: {}, 51006: {}, 52004: {},
	50058: {}, 50059: {}, 50168: {}, 50177: {}, 50178: {}, 50180: {}, 50192: {},
	// The code of a device flow was not entered yet.
	70016: {},
	// Seamless single sign-on did not work; the user is asked instead.
	81004: {}, 81005: {}, 81006: {}, 81007: {}, 81008: {}, 81009: {}, 81010: {}, 81011: {}, 81012: {},
}

// outcomeOf classifies an error code.
func outcomeOf(code int64) string {
	if code == 0 {
		return outcomeSuccess
	}
	if _, ok := interrupts[code]; ok {
		return outcomeInterrupted
	}
	return outcomeFailure
}

// outcomeOfWord classifies a result written as a word. Empty: it says nothing.
func outcomeOfWord(word string) string {
	switch {
	case strings.EqualFold(word, "success"):
		return outcomeSuccess
	case strings.EqualFold(word, "failure"), strings.EqualFold(word, "failed"):
		return outcomeFailure
	case strings.EqualFold(word, "interrupted"):
		return outcomeInterrupted
	default:
		return ""
	}
}
