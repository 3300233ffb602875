package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/ebitengine/purego"
)

// LibraryVersion is the release of libchdb this package is written and tested against. It equals
// the version pinned in scripts/fetch-libchdb.sh.
const LibraryVersion = "26.7.3-stable.1"

// LibraryEnv names the environment variable that holds the path of libchdb, for where it is
// neither next to the executable nor in a checkout's build folder.
const LibraryEnv = "ENTRAFLOW_LIBCHDB"

// ErrLibraryMissing reports that libchdb was found in none of the places it is looked for.
var ErrLibraryMissing = errors.New("libchdb not found; run scripts/fetch-libchdb.sh or set " + LibraryEnv)

const libraryFile = "libchdb.so"

// FindLibrary returns the path of libchdb: explicit if not empty, else the one named by LibraryEnv,
// else next to the executable, else build/libchdb/<LibraryVersion> in the folder of the executable, the
// working directory or the nearest folder above either. It returns ErrLibraryMissing when there is none.
func FindLibrary(explicit string) (string, error) {
	for _, named := range []string{explicit, os.Getenv(LibraryEnv)} {
		if named == "" {
			continue
		}
		// A path that somebody chose is the only answer: another library would surprise them.
		if !isFile(named) {
			return "", fmt.Errorf("%w: no file %s", ErrLibraryMissing, named)
		}
		return named, nil
	}
	executable, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("%w: finding the executable: %w", ErrLibraryMissing, err)
	}
	if path := filepath.Join(filepath.Dir(executable), libraryFile); isFile(path) {
		return path, nil
	}
	working, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("%w: reading working directory: %w", ErrLibraryMissing, err)
	}
	for _, dir := range []string{filepath.Dir(executable), working} {
		if path, ok := findAbove(dir); ok {
			return path, nil
		}
	}
	return "", ErrLibraryMissing
}

func findAbove(dir string) (string, bool) {
	for {
		if path := filepath.Join(dir, "build", "libchdb", LibraryVersion, libraryFile); isFile(path) {
			return path, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Handles of the library, opaque to Go. Different types so that they cannot be mixed up.
type (
	connHandle   uintptr
	resultHandle uintptr
	insertHandle uintptr
)

// state is chdb_state: 0 is success.
type state int32

// library is the part of libchdb's C interface (programs/local/chdb.h of chdb-core) used here.
// Strings are passed with their lengths, so they may hold any byte. The library copies its
// arguments before it returns, and what it returns belongs to the caller until destroyed.
type library struct {
	setSignalHandlersEnabled func(enabled int32)
	connect                  func(argc int32, argv **byte) *connHandle
	closeConn                func(conn *connHandle)

	query func(conn connHandle, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) resultHandle
	streamQuery func(conn connHandle, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) resultHandle
	streamFetch   func(conn connHandle, stream resultHandle) resultHandle
	streamCancel  func(conn connHandle, stream resultHandle)
	destroyResult func(result resultHandle)
	resultBuffer  func(result resultHandle) *byte
	resultLength  func(result resultHandle) uintptr
	resultError   func(result resultHandle) string
	resultWritten func(result resultHandle) uint64

	streamInsert func(conn connHandle, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, count uintptr) insertHandle
	insertAppend  func(stream insertHandle, data *byte, length uintptr) state
	insertDone    func(stream insertHandle) resultHandle
	insertCancel  func(stream insertHandle)
	insertError   func(stream insertHandle) string
	destroyInsert func(stream insertHandle)

	classify func(conn connHandle, sql *byte, sqlLen uintptr, database *byte, databaseLen uintptr,
		analysis *analysis) state
}

// analysis is chdb_query_analysis_v1.
type analysis struct {
	structSize     uint32
	statementCount uint32
	_              uint32 // flags
	class          uint32
}

// loadLibrary opens libchdb and binds its functions. It is never closed: the engine leaves threads
// and exit handlers behind that run its code.
func loadLibrary(path string) (*library, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("resolving library path: %w", err)
	}
	handle, err := purego.Dlopen(absolute, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("opening libchdb: %w", err)
	}
	lib := &library{}
	for name, fn := range map[string]any{
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlersEnabled,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_query_with_params_n":         &lib.query,
		"chdb_stream_query_with_params_n":  &lib.streamQuery,
		"chdb_stream_fetch_result":         &lib.streamFetch,
		"chdb_stream_cancel_query":         &lib.streamCancel,
		"chdb_destroy_query_result":        &lib.destroyResult,
		"chdb_result_buffer":               &lib.resultBuffer,
		"chdb_result_length":               &lib.resultLength,
		"chdb_result_error":                &lib.resultError,
		"chdb_result_rows_written":         &lib.resultWritten,
		"chdb_stream_insert_with_params_n": &lib.streamInsert,
		"chdb_stream_append":               &lib.insertAppend,
		"chdb_stream_done":                 &lib.insertDone,
		"chdb_stream_cancel_insert":        &lib.insertCancel,
		"chdb_stream_insert_error":         &lib.insertError,
		"chdb_destroy_insert_stream":       &lib.destroyInsert,
		"chdb_classify_query_n":            &lib.classify,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("binding %s (want libchdb %s): %w", name, LibraryVersion, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	return lib, nil
}

// cstrings is a vector of strings in memory that neither moves nor is freed until release.
type cstrings struct {
	pointers []*byte
	lengths  []uintptr
	pinner   runtime.Pinner
}

func newCStrings(values []string) *cstrings {
	c := &cstrings{pointers: make([]*byte, len(values)+1), lengths: make([]uintptr, len(values)+1)}
	for i, value := range values {
		buf := append([]byte(value), 0)
		c.pinner.Pin(&buf[0])
		c.pointers[i], c.lengths[i] = &buf[0], uintptr(len(value))
	}
	c.pinner.Pin(&c.pointers[0])
	c.pinner.Pin(&c.lengths[0])
	return c
}

func (c *cstrings) release() { c.pinner.Unpin() }
