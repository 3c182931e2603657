package copyin

import (
	"errors"
	"io"
)

// errOver is returned to the writer if the server ended the COPY before its data.
var errOver = errors.New("the COPY is over")

// pipe hands blocks of COPY data to the connection, which reads in a goroutine
// of its own that may still be there when a connection was lost. It holds no
// row, so the caller's rows are the caller's again at once.
type pipe struct {
	blocks chan []byte
	free   chan []byte
	over   chan struct{} // closed when the COPY has ended
	err    error         // what the reader gets once blocks is closed; nil: the end of the data
	block  []byte        // being read
	start  int
}

func (p *pipe) Read(to []byte) (int, error) {
	for p.start == len(p.block) {
		if p.block != nil {
			select {
			case p.free <- p.block[:0]:
			default:
			}
		}
		p.block, p.start = nil, 0
		select {
		case block, more := <-p.blocks:
			if !more {
				if p.err != nil {
					return 0, p.err
				}
				return 0, io.EOF
			}
			p.block = block
		case <-p.over:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(to, p.block[p.start:])
	p.start += n
	return n, nil
}
