// Package signins answers SearchSignIns from the table sign_ins.
//
// It reads ClickHouse, through statements that are constants of this package: what a client sends is
// bound to parameters and never becomes part of one. It writes nothing. Planning (filter, window,
// page) is pure; search.go puts it together.
package signins

const kindSignIn = "signin"
