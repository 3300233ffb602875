package gateway_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/errors.md anew")

const errorsDoc = "../../docs/errors.md"

// explained is an error as a client sees it.
type explained struct{ reason, code, message, remedy string }

// TestEachErrorIsExplained holds docs/errors.md, which every error links to, against the errors in the code.
// go test ./services/gateway -run TestEachErrorIsExplained -update writes it anew.
func TestEachErrorIsExplained(t *testing.T) {
	var all []explained
	for _, root := range []string{"../../pkg/grpcserver", "."} {
		require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					all = append(all, explain(call)...)
				}
				return true
			})
			return nil
		}))
	}
	require.Greater(t, len(all), 40)
	want := render(all)
	if *update {
		require.NoError(t, os.WriteFile(errorsDoc, want, 0o644)) //nolint:gosec // documentation is for everyone
	}
	got, err := os.ReadFile(errorsDoc)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run with -update and commit")
}

// explain reads the arguments of a call that makes a shown error; nothing of other calls.
func explain(call *ast.CallExpr) []explained {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	code, first := "", 0
	switch {
	case name == "NewError" && len(call.Args) == 4:
		selector, ok := call.Args[0].(*ast.SelectorExpr)
		if !ok {
			return nil
		}
		code, first = selector.Sel.Name, 1
	case name == "unauthenticated" && len(call.Args) == 3:
		code = "Unauthenticated"
	default:
		return nil
	}
	texts := make([]string, 0, 3)
	for _, arg := range call.Args[first:] {
		texts = append(texts, textOf(arg))
	}
	if texts[0] == "" {
		return nil
	}
	return []explained{{texts[0], code, texts[1], texts[2]}}
}

// textOf returns a constant text; what else stands in it is "…".
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		left, right := textOf(e.X), textOf(e.Y)
		if left == "" {
			left = "…"
		}
		if right == "" {
			right = "…"
		}
		return left + right
	default:
		return ""
	}
}

func render(all []explained) []byte {
	slices.SortFunc(all, func(a, b explained) int {
		return strings.Compare(a.reason+"\x00"+a.message, b.reason+"\x00"+b.message)
	})
	all = slices.Compact(all)
	var out bytes.Buffer
	out.WriteString("# Errors of the API\n\n" +
		"Each error is a `google.rpc.Status` with an `ErrorInfo`: `reason` is one of these, `metadata.request_id` names the\n" +
		"call in the audit log and in the gateway's log, `metadata.remedy` says what helps. `INVALID_ARGUMENT` has a\n" +
		"`BadRequest` with the fields that are wrong. Over REST it is the body of the answer.\n\n" +
		"This page is made from the code: `go test ./services/gateway -run TestEachErrorIsExplained -update`.\n")
	last := ""
	for _, e := range all {
		if e.reason != last {
			fmt.Fprintf(&out, "\n## %s\n\n", e.reason)
			last = e.reason
		}
		fmt.Fprintf(&out, "- `%s`: %s.", e.code, e.message)
		if e.remedy != "" {
			fmt.Fprintf(&out, " What helps: %s.", e.remedy)
		}
		out.WriteString("\n")
	}
	return out.Bytes()
}
