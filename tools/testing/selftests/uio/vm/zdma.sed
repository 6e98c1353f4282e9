# SPDX-License-Identifier: GPL-2.0
#
# The DMA engines are for user space; the last four of the eight are coherent.
s/compatible = "xlnx,zynqmp-dma-1.0"/compatible = "xlnx,zynqmp-dma-1.0", "generic-uio"/
/^\tdma@ffa[c-f]/ a\
		dma-coherent;
