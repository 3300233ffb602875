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

// Exception is an error of the engine, or one that this package words like the engine's.
type Exception struct {
	// Code is ClickHouse's number of the error.
	Code int
	// Message is its text, with the code in front as ClickHouse writes it.
	Message string

	status int
}

func (e *Exception) Error() string { return e.Message }

func newException(status, code int, name, format string, args ...any) *Exception {
	text := fmt.Sprintf(format, args...)
	return &Exception{
		Code:    code,
		Message: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, text, name),
		status:  status,
	}
}

var exceptionCode = regexp.MustCompile(`Code: (\d+)\.`)

// engineException reads the code out of an error text of the library.
func engineException(text string) *Exception {
	exception := &Exception{Code: codeUnknown, Message: text, status: http.StatusInternalServerError}
	if match := exceptionCode.FindStringSubmatchIndex(text); match != nil {
		if code, err := strconv.Atoi(text[match[2]:match[3]]); err == nil {
			exception.Code = code
			exception.Message = strings.TrimSpace(text[match[0]:])
		}
	}
	return exception
}

// asException turns any error into one that can be answered.
func asException(err error) *Exception {
	var exception *Exception
	if errors.As(err, &exception) {
		return exception
	}
	if errors.Is(err, ErrClosed) {
		return newException(http.StatusServiceUnavailable, codeAborted, "ABORTED", "%v", err)
	}
	return newException(http.StatusInternalServerError, codeUnknown, "UNKNOWN_EXCEPTION", "%v", err)
}
