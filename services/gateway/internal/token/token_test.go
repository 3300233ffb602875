package token_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCodec(tb testing.TB, secret, use string) *token.Codec {
	tb.Helper()
	codec, err := token.NewCodec(config.NewSecret(secret), use)
	require.NoError(tb, err)
	return codec
}

func TestATokenGivesBackItsContent(t *testing.T) {
	codec := newCodec(t, "secret", "page")
	for _, content := range []string{"", "a", "\x00\xff", strings.Repeat("long", 100)} {
		sealed := codec.Seal([]byte(content))
		require.Regexp(t, "^[A-Za-z0-9_-]+$", sealed)
		got, err := newCodec(t, "secret", "page").Open(sealed)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}
}

// The format is a contract between releases: a page begun before an upgrade goes on after it.
func TestTheFormatStays(t *testing.T) {
	require.Equal(t, "AWNvbnRlbnS75S3CnqB6ThDiLkbQHSJr", newCodec(t, "secret", "page").Seal([]byte("content")))
}

func TestForeignTokensAreRefused(t *testing.T) {
	codec := newCodec(t, "secret", "page")
	good := codec.Seal([]byte("content"))
	foreign := map[string]string{
		"empty":           "",
		"short":           "AQ",
		"no base64":       "!!!!",
		"cut":             good[:len(good)-1],
		"longer":          good + "A",
		"padded":          good + "=",
		"line end inside": good[:4] + "\n" + good[4:],
		"another key":     newCodec(t, "another", "page").Seal([]byte("content")),
		"another use":     newCodec(t, "secret", "resume").Seal([]byte("content")),
	}
	for name, sealed := range foreign {
		t.Run(name, func(t *testing.T) {
			_, err := codec.Open(sealed)
			require.ErrorIs(t, err, token.ErrInvalid)
		})
	}
}

func TestEveryChangedCharacterIsNoticed(t *testing.T) {
	codec := newCodec(t, "secret", "page")
	good := codec.Seal([]byte("content"))
	for i := range good {
		for _, c := range "AB-_z9" {
			changed := good[:i] + string(c) + good[i+1:]
			if changed == good {
				continue
			}
			_, err := codec.Open(changed)
			require.ErrorIs(t, err, token.ErrInvalid, changed)
		}
	}
}

func TestAnEmptySecretMakesNoCodec(t *testing.T) {
	_, err := token.NewCodec(config.Secret{}, "page")
	require.Error(t, err)
}

func FuzzOpen(f *testing.F) {
	codec := newCodec(f, "secret", "page")
	f.Add(codec.Seal([]byte("content")))
	f.Add("")
	f.Fuzz(func(t *testing.T, sealed string) {
		content, err := codec.Open(sealed)
		if err == nil && codec.Seal(content) != sealed {
			t.Fatalf("%q opens as %q, whose token is another", sealed, content)
		}
	})
}
