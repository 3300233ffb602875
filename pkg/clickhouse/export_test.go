package clickhouse

// CodesInSource lets the tests with an engine check the names of codes.
var CodesInSource = codesInSource
