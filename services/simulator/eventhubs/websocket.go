package eventhubs

import (
	"log/slog"
	"net/http"

	"github.com/coder/websocket"
)

// WebSocketPath is where clients expect AMQP over WebSocket.
const WebSocketPath = "/$servicebus/websocket"

// WebSocketHandler serves AMQP over WebSocket, on whatever path it is mounted; clients use WebSocketPath. A
// connection ends with its request's context.
func (s *Server) WebSocketHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"amqp"}})
		if err != nil {
			s.set.Logger.DebugContext(r.Context(), "websocket refused", slog.Any("err", err))
			return
		}
		nc := websocket.NetConn(r.Context(), ws, websocket.MessageBinary)
		if err := s.ServeConn(r.Context(), nc); err != nil {
			s.set.Logger.DebugContext(r.Context(), "connection ended", slog.Any("err", err))
		}
	})
}
