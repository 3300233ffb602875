package bus

import (
	"context"
	"time"
)

// TrimBlobs is one look of the trimmer at the blobs, with ages that a test can wait for.
func TrimBlobs(ctx context.Context, conn *Conn, maxAge, refreshAge time.Duration) error {
	stream, _ := FindStream("EVENTS")
	t := newTrimmer(conn, stream)
	t.blobMaxAge, t.blobRefreshAge = maxAge, refreshAge
	return t.trimBlobs(ctx)
}
