package embedded

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// ClickHouse error codes that this package gives itself.
const (
	codeBadArguments     = 36
	codeNotImplemented   = 48
	codeSyntaxError      = 62
	codeReadonly         = 164
	codeTooManyBytes     = 307
	codeWrongCredentials = 516
	codeAccessDenied     = 497
	codeAborted          = 236
	codeUnknown          = 1002
	codeNoDataToInsert   = 108
	codeUnknownSetting   = 115
)

// statementError is an error of the engine, or one that this package words like the engine's.
type statementError struct {
	// code is ClickHouse's number of the error.
	code int
	// text has the code in front, as ClickHouse writes it.
	text string
	// status is the one of HTTP.
	status int
}

func (e *statementError) Error() string { return e.text }

func newException(status, code int, name, format string, args ...any) *statementError {
	message := fmt.Sprintf(format, args...)
	return &statementError{
		code:   code,
		text:   fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, message, name),
		status: status,
	}
}

var exceptionCode = regexp.MustCompile(`Code: (\d+)\.`)

// engineException reads the code out of an error text of the library.
func engineException(text string) *statementError {
	exception := &statementError{code: codeUnknown, text: text, status: http.StatusInternalServerError}
	if match := exceptionCode.FindStringSubmatchIndex(text); match != nil {
		if code, err := strconv.Atoi(text[match[2]:match[3]]); err == nil {
			exception.code = code
			exception.text = strings.TrimSpace(text[match[0]:])
		}
	}
	return exception
}

// asException turns any error into one that can be answered.
func asException(err error) *statementError {
	if exception, ok := errors.AsType[*statementError](err); ok {
		return exception
	}
	if errors.Is(err, ErrClosed) {
		return newException(http.StatusServiceUnavailable, codeAborted, "ABORTED", "%v", err)
	}
	return newException(http.StatusInternalServerError, codeUnknown, "UNKNOWN_EXCEPTION", "%v", err)
}
