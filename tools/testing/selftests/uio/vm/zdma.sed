# SPDX-License-Identifier: GPL-2.0
#
# The DMA engines are for user space; the last four of the eight are coherent, and
# the last is on a bus that adds 0xc0000000 to addresses of memory.
s/compatible = "xlnx,zynqmp-dma-1.0"/compatible = "xlnx,zynqmp-dma-1.0", "generic-uio"/
/^\tdma@ffaf/ i\
	bus {\
		compatible = "simple-bus";\
		#address-cells = <2>;\
		#size-cells = <2>;\
		ranges;\
		dma-ranges = <0x0 0xc0000000 0x0 0x0 0x0 0x40000000>;
/^\tdma@ffa[c-f]/ a\
		dma-coherent;
/^\tdma@ffaf/,/^\t};/ s/^\t};/\t};\n\t};/
