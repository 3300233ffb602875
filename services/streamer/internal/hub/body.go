package hub

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/entraflow/entraflow/pkg/decode"
)

// bodyOf returns the bytes of a message, wherever AMQP allows them to be. With an error they are only
// good for a dead letter.
func bodyOf(e *azeventhubs.ReceivedEventData) ([]byte, *decode.Error) {
	if e.Body != nil || e.RawAMQPMessage == nil {
		return e.Body, nil
	}
	// The SDK leaves Body out unless there is exactly one data section. Several are one body by the
	// AMQP specification.
	body := e.RawAMQPMessage.Body
	switch value := body.Value.(type) {
	case nil:
	case string:
		return []byte(value), nil
	case []byte:
		return value, nil
	default:
		return foreign(value)
	}
	if len(body.Sequence) > 0 {
		return foreign(body.Sequence)
	}
	return slices.Concat(body.Data...), nil
}

// foreign keeps a body that is no text as JSON, so that somebody can read it.
func foreign(value any) ([]byte, *decode.Error) {
	reason := &decode.Error{
		Reason: decode.ReasonPayloadInvalid,
		Detail: "the message's body is an AMQP value or sequence and not text; send it as data",
	}
	text, err := json.Marshal(value)
	if err != nil {
		text = fmt.Appendf(nil, "%v", value) // maps of AMQP may have keys that JSON cannot
	}
	return text, reason
}
