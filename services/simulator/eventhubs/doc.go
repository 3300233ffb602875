// Package eventhubs is a local Event Hubs service for the unmodified azeventhubs client: an AMQP 1.0 server with
// $cbs, $management, producers and consumers over logs kept in memory. It reads what clients send and record files
// it is told to replay, and writes to those clients only. It opens no listener and dials nothing: hand it
// connections (ServeConn, Serve, WebSocketHandler). It never keeps anything on disk and never contacts Azure.
//
// The behaviour follows what the SDK's own tests demand and what Azure documents; where neither says, the comment
// at the place says what was inferred.
package eventhubs
