// Package amqp is the wire format of AMQP 1.0 as a server of Event Hubs needs it: values, frames, the
// performatives and the sections of a message. It reads and writes byte slices and nothing else: no sockets,
// no clocks, no goroutines. Foreign bytes never make it panic; counts and nesting depth are bounded.
//
// Source: OASIS AMQP 1.0, parts 1 (types), 2 (transport), 3 (messaging) and 5 (SASL).
package amqp
