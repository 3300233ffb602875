package amqp_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

func TestReadValueTypes(t *testing.T) {
	tests := map[string]struct {
		encoded []byte
		check   func(*testing.T, amqp.Value)
	}{
		"null":       {amqp.AppendNull(nil), wantNull},
		"true":       {amqp.AppendBool(nil, true), wantBool(true)},
		"false":      {amqp.AppendBool(nil, false), wantBool(false)},
		"bool byte":  {[]byte{0x56, 1}, wantBool(true)},
		"uint 0":     {amqp.AppendUint(nil, 0), wantUint(0)},
		"uint small": {amqp.AppendUint(nil, 255), wantUint(255)},
		"uint":       {amqp.AppendUint(nil, 256), wantUint(256)},
		"ulong 0":    {amqp.AppendUlong(nil, 0), wantUint(0)},
		"ulong":      {amqp.AppendUlong(nil, 1<<40), wantUint(1 << 40)},
		"ubyte":      {amqp.AppendUbyte(nil, 7), wantUint(7)},
		"ushort":     {amqp.AppendUshort(nil, 700), wantUint(700)},
		"int":        {amqp.AppendInt(nil, -5), wantInt(-5)},
		"small int":  {[]byte{0x54, 0xff}, wantInt(-1)},
		"long":       {amqp.AppendLong(nil, -1<<40), wantInt(-1 << 40)},
		"small long": {[]byte{0x55, 0x80}, wantInt(-128)},
		"short":      {[]byte{0x61, 0xff, 0xfe}, wantInt(-2)},
		"string":     {amqp.AppendString(nil, "a"), wantText("a")},
		"long text":  {amqp.AppendString(nil, string(make([]byte, 300))), wantText(string(make([]byte, 300)))},
		"symbol":     {amqp.AppendSymbol(nil, "s"), wantText("s")},
		"binary": {amqp.AppendBinary(nil, []byte{1, 2}), func(t *testing.T, v amqp.Value) {
			t.Helper()
			b, ok := v.Binary()
			require.True(t, ok)
			require.Equal(t, []byte{1, 2}, b)
		}},
		"described": {amqp.AppendString(amqp.AppendDescriptor(nil, 0x1234), "x"), func(t *testing.T, v amqp.Value) {
			t.Helper()
			require.Equal(t, uint64(0x1234), v.Descriptor)
			wantText("x")(t, v)
		}},
		"described by name": {
			append([]byte{0}, append(amqp.AppendSymbol(nil, "d"), amqp.AppendUint(nil, 9)...)...),
			func(t *testing.T, v amqp.Value) {
				t.Helper()
				require.Equal(t, "d", v.Name)
				wantUint(9)(t, v)
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, rest, err := amqp.ReadValue(append(tt.encoded, 0x99))
			require.NoError(t, err)
			require.Equal(t, []byte{0x99}, rest)
			tt.check(t, v)
			require.Equal(t, tt.encoded, amqp.AppendValue(nil, v), "a value is appended as it was read")
			for cut := range tt.encoded {
				_, _, err := amqp.ReadValue(tt.encoded[:cut])
				require.ErrorIs(t, err, amqp.ErrMalformed, "cut at %d", cut)
			}
		})
	}
}

func wantNull(t *testing.T, v amqp.Value) {
	t.Helper()
	require.True(t, v.IsNull())
}

func wantBool(want bool) func(*testing.T, amqp.Value) {
	return func(t *testing.T, v amqp.Value) {
		t.Helper()
		got, ok := v.Bool()
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

func wantUint(want uint64) func(*testing.T, amqp.Value) {
	return func(t *testing.T, v amqp.Value) {
		t.Helper()
		got, ok := v.Uint()
		require.True(t, ok)
		require.Equal(t, want, got)
		_, ok = v.Int()
		require.False(t, ok, "unsigned is not signed")
	}
}

func wantInt(want int64) func(*testing.T, amqp.Value) {
	return func(t *testing.T, v amqp.Value) {
		t.Helper()
		got, ok := v.Int()
		require.True(t, ok)
		require.Equal(t, want, got)
		_, ok = v.Uint()
		require.False(t, ok, "signed is not unsigned")
	}
}

func wantText(want string) func(*testing.T, amqp.Value) {
	return func(t *testing.T, v amqp.Value) {
		t.Helper()
		got, ok := v.Text()
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

func TestBounds(t *testing.T) {
	nest := func(depth int) []byte {
		b := []byte{0x45}
		for range depth {
			inner := b
			var mark int
			b, mark = amqp.OpenList(nil)
			b = amqp.CloseCompound(append(b, inner...), mark, 1)
		}
		return b
	}
	tests := map[string]struct {
		encoded []byte
		ok      bool
	}{
		"nested within the bound":     {nest(30), true},
		"nested too deep":             {nest(40), false},
		"list with too large a count": {[]byte{0xc0, 2, 200, 0x40}, false},
		"list32 with a huge count":    {[]byte{0xd0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40}, false},
		"map with an odd count":       {[]byte{0xc1, 2, 1, 0x40}, false},
		"list with bytes left over":   {[]byte{0xc0, 3, 1, 0x40, 0x40}, false},
		"array of nulls, few":         {[]byte{0xf0, 0, 0, 0, 5, 0, 0, 1, 0, 0x40}, true},
		"array of nulls, 4 billion":   {[]byte{0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40}, false},
		"array without constructor":   {[]byte{0xe0, 1, 3}, false},
		"empty array":                 {[]byte{0xe0, 1, 0}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, _, err := amqp.ReadValue(tt.encoded)
			if err == nil {
				err = v.Check()
			}
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, amqp.ErrMalformed)
			}
		})
	}
	_, _, err := amqp.ReadValue([]byte{0x3f})
	require.ErrorIs(t, err, amqp.ErrMalformed, "unknown format code")
	_, _, err = amqp.ReadValue([]byte{0xb0, 0xff, 0xff, 0xff, 0xff})
	require.ErrorIs(t, err, amqp.ErrMalformed, "size beyond the buffer")
}

func FuzzReadValue(f *testing.F) {
	f.Add(amqp.AppendStrings(nil, "a", "b"))
	f.Add([]byte{0xc1, 5, 2, 0xa1, 1, 'k', 0x40})
	f.Add([]byte{0xf0, 0, 0, 0, 5, 0, 0, 1, 0, 0x40})
	f.Fuzz(func(t *testing.T, data []byte) {
		v, rest, err := amqp.ReadValue(data)
		if err != nil {
			return
		}
		_ = v.Lookup("k")
		if v.Check() != nil {
			return
		}
		again, _, err := amqp.ReadValue(amqp.AppendValue(nil, v))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if !bytes.Equal(amqp.AppendValue(nil, again), amqp.AppendValue(nil, v)) {
			t.Fatal("a value changes when it is appended")
		}
		if len(rest) > len(data) {
			t.Fatal("rest grows")
		}
	})
}
